"""Beam search with CTranslate2: the hypotheses that fairseq's search finds, several times faster.

The teacher is converted in memory; tokens are passed by their ids, written as text, so that no
name of a dictionary matters. Where CTranslate2's search is another than fairseq's, a sentence is
searched again:

- fairseq forbids an empty translation after the softmax, CTranslate2's ``min_decoding_length``
  before it, which changes every score. So an empty one is allowed; a sentence that finds it (its
  score tells the probability p that fairseq leaves out) is translated again without, and
  log(1 - p) added.
- At the length limit fairseq forces the end of sentence. A sentence that reaches its limit is
  fairseq's (:class:`.decoding.Decoder`), and so is one that finds padding, which fairseq forbids,
  or a score that is not finite.

What remains: of the hypotheses that end in the search's last step fairseq keeps the likeliest, up
to ``beam`` in all, and CTranslate2 the ``beam`` best of all. The best one is the same.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import torch

from ..host.conversion import converted
from ..host.convertible import library
from .decoding import Decoder, Decoding, Found, Search, decode_in_batches, record

TOGETHER = 512  # source tokens that a CPU decodes together; the result does not depend on it
Hypothesis = tuple[list[str], float]  # ids with the end of sentence, score


class CTranslate2Decoder:
    """A teacher as :class:`.decoding.Decoder` is one."""

    def __init__(
        self, task: Any, models: Sequence[Any], search: Search, device: torch.device, compute: str
    ):
        """Convert the only one of ``models``.

        Args:
            compute: CTranslate2's name of a compute type, as float32 or int8_float32.
        """
        self.task, self.models, self.search, self.device = task, models, search, device
        self.positions = models[0].max_decoder_positions()
        self.translator = translator_of(task, models[0], device, compute)
        self.names = names_of(task.src_dict)
        self.padding, self.empty = str(task.tgt_dict.pad()), [str(task.tgt_dict.eos())]

    def decode(
        self, pairs: Any, rows: Sequence[int], done: Callable[[int, int], None] | None = None
    ) -> Found:
        """Translate sentences ``rows`` of a ``LanguagePairDataset``; K hypotheses for each."""
        return decode_in_batches(self._decoding, pairs, rows, self.search, done)

    def _decoding(self, pairs: Any, rows: list[int], width: int) -> Decoding:
        """Of a batch of ``width`` tokens, which caps lengths; it yields where it has asked."""
        cap = self.search.length_limit(width, self.positions)
        names, words, keep = self.names, self.task.tgt_dict, self.search.nbest
        sources = [[names[i] for i in pairs.src[row].tolist()] for row in rows]
        asked = self._ask(sources, cap, shortest=0)
        yield
        found = _answers(asked)
        spared = {i: h[1] for i, best in enumerate(found) for h in best if h[0] == self.empty}
        if spared:
            asked = self._ask([sources[i] for i in spared], cap, shortest=1)
            yield
            for (place, log_p), best in zip(spared.items(), _answers(asked)):
                found[place] = self._without_empty(best, log_p)
        strange = [row for row, best in zip(rows, found) if not self._is_settled(best, cap)]
        theirs = self._fairseq.decode_batch(pairs, strange, width) if strange else {}
        for row, best in zip(rows, found):
            if row not in theirs:
                theirs[row] = [
                    record(words, list(map(int, tokens)), score, cap)
                    for tokens, score in best[:keep]
                ]
        return theirs

    def _without_empty(self, best: list[Hypothesis], log_p: float) -> list[Hypothesis]:
        """Hypotheses with the probability that an empty one, of log-probability p, leaves them."""
        left = math.log1p(-math.exp(log_p)) if log_p < 0 else -math.inf
        lenpen = self.search.lenpen
        scored = [(tokens, score + left / len(tokens) ** lenpen) for tokens, score in best]
        return sorted(scored, key=lambda hypothesis: -hypothesis[1])

    def _ask(self, sources: list[list[str]], cap: int, shortest: int) -> list[Any]:
        beam = self.search.beam
        asked: list[Any] = self.translator.translate_batch(
            sources,
            asynchronous=True,
            max_batch_size=TOGETHER if self.device.type == "cpu" else 0,
            batch_type="tokens",
            beam_size=beam,
            num_hypotheses=beam,
            patience=1 + 0.25 / beam,  # not 1, which may end a search before beam are found
            length_penalty=self.search.lenpen,
            return_end_token=True,  # which fairseq counts among the tokens
            return_scores=True,
            max_input_length=0,
            min_decoding_length=shortest,
            max_decoding_length=cap + 1,  # with the end of sentence
        )
        return asked

    def _is_settled(self, best: list[Hypothesis], cap: int) -> bool:
        """Whether fairseq's search had found the same: it met no limit and nothing forbidden."""
        for tokens, score in best:
            if len(tokens) > cap or self.padding in tokens or not math.isfinite(score):
                return False
        return True

    @cached_property
    def _fairseq(self) -> Decoder:
        return Decoder(self.task, self.models, self.search, self.device)


def _answers(asked: Iterable[Any]) -> list[list[Hypothesis]]:
    found = [answer.result() for answer in asked]
    return [list(zip(each.hypotheses, each.scores)) for each in found]


def names_of(words: Any) -> list[str]:
    """What CTranslate2 calls the entries of a dictionary: their ids."""
    return [str(i) for i in range(len(words))]


def translator_of(task: Any, model: Any, device: torch.device, compute: str) -> Any:
    """CTranslate2's translator of a model; a token's name is its id.

    It computes with as many threads as torch. The library reads models from a folder: one of the
    system's temporary ones, gone when this returns.
    """
    source, target = task.src_dict, task.tgt_dict
    names = names_of(source), names_of(target)
    spec = converted(model, *names, target.eos(), target.unk(), target.bos())
    spec.optimize()
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        return library().Translator(
            folder,
            device=device.type,
            device_index=device.index or 0,
            compute_type=compute,
            inter_threads=1,
            intra_threads=torch.get_num_threads(),
            max_queued_batches=-1,  # of what is asked, or asking would wait
        )
