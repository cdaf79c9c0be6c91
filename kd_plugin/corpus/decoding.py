"""How a teacher translates sentences: what fairseq-generate does, and nothing dropped."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from ..data.batches import batches
from ..errors import InputError
from ..host.device import moved
from .records import Record
from .searches import DiverseBeams, Sampler


@dataclass(frozen=True)
class Search:
    """How a teacher translates, by the names of fairseq's flags."""

    beam: int = 5
    nbest: int = 1
    lenpen: float = 1.0
    max_len_a: float = 0.0
    max_len_b: int = 200
    max_tokens: int = 4000
    fp16: bool = False
    block_size: int = 2000  # sentences that a kill can cost
    diverse_beam_groups: int = -1
    diverse_beam_strength: float = 0.5
    sampling: bool = False  # nbest samples, and no beam; see .searches
    sampling_topk: int = -1
    sampling_topp: float = -1.0
    sampling_epsilon: float = 0.0  # fairseq has none
    seed: int = 1
    teacher_forcing: bool = False  # no search; see .forced

    @property
    def dtype(self) -> torch.dtype:
        """In which it is computed: what is drawn should not depend on how a batch was rounded."""
        whole = torch.float64 if self.sampling or self.teacher_forcing else torch.float32
        return torch.float16 if self.fp16 else whole

    def told(self) -> dict[str, Any]:
        """What a manifest says of it: of what few searches have, only what this one has."""
        flags = asdict(self)
        always = {"beam", "nbest", "lenpen", "max_len_a", "max_len_b"}
        if self.teacher_forcing:
            always = {"teacher_forcing"}
        always |= {"max_tokens", "fp16", "block_size"}
        if self.sampling:
            always |= {"sampling", "seed"}
        if self.diverse_beam_groups > 0:
            always |= {"diverse_beam_strength"}
        usual = {field.name: field.default for field in fields(self)}
        return {key: value for key, value in flags.items() if key in always or value != usual[key]}

    def length_limit(self, width: int, positions: float) -> int:
        """The most tokens before the end of sentence, by fairseq's rule for a padded batch.

        Args:
            width: of the batch, in tokens, padding and ends of sentences included.
            positions: that the decoder has.
        """
        return min(int(self.max_len_a * width + self.max_len_b), int(positions) - 1)


Found = dict[int, list[Record]]  # hypotheses of sentences
# Decodes a batch, and yields where it waits for a device that could take another batch.
Decoding = Generator[None, None, Found]


class Decoder:
    """A teacher (several: fairseq's ensemble) with fairseq's own sequence generator."""

    def __init__(self, task: Any, models: Sequence[Any], search: Search, device: torch.device):
        """Put ``models`` on ``device``."""
        self.task, self.search, self.device = task, search, device
        for model in models:
            model.eval().make_generation_fast_(need_attn=False, beamable_mm_beam_size=None)
            model.to(device=device, dtype=search.dtype)
        self.generator = task.build_generator(models, search)
        self.strategy = _strategy(task.tgt_dict, search)
        if self.strategy is not None:
            self.generator.search = self.strategy
        most = self.generator.beam_size
        if self.strategy is not None and most < search.beam:
            flag = f"--nbest {search.nbest} samples" if search.sampling else f"--beam {search.beam}"
            raise InputError(
                f"{flag}: fairseq searches at most {most} hypotheses with a dictionary of "
                f"{len(task.tgt_dict)} entries; give at most that"
            )

    def decode(
        self, pairs: Any, rows: Sequence[int], done: Callable[[int, int], None] | None = None
    ) -> Found:
        """Translate sentences ``rows`` of a ``LanguagePairDataset``; K hypotheses for each.

        A sentence whose search ends without a finished hypothesis, because the teacher's
        probabilities are not finite, has none.
        """
        return decode_in_batches(self._decoding, pairs, rows, self.search, done)

    def _decoding(self, pairs: Any, rows: list[int], width: int) -> Decoding:
        yield from ()  # it never waits
        return self.decode_batch(pairs, rows, width)

    def decode_batch(self, pairs: Any, rows: list[int], width: int) -> Found:
        """Sentences that are decoded together, padded to ``width`` tokens, which caps lengths.

        One sentence that fails, or too little memory, does not cost the rest of its batch.
        """
        padded = {"source": width, "target": None}
        try:
            return self._decode_batch(pairs.collater([pairs[row] for row in rows], padded))
        except AssertionError:  # fairseq's search ran to its last step with nothing finished
            if len(rows) == 1:
                return {rows[0]: []}
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
        half = len(rows) // 2
        first, second = rows[:half], rows[half:]
        return {
            **self.decode_batch(pairs, first, width),
            **self.decode_batch(pairs, second, width),
        }

    def _decode_batch(self, sample: Any) -> Found:
        rows = sample["id"].tolist()
        # places in the batch, as which fairseq's searches take the ids
        sample = moved({**sample, "id": torch.arange(len(rows))}, self.device)
        if self.strategy is not None:
            self.strategy.begin(rows)
        found = self.task.inference_step(self.generator, [], sample)
        if self.strategy is not None:
            found = [self.strategy.arranged(place, best) for place, best in enumerate(found)]
        width = sample["net_input"]["src_tokens"].size(1)
        cap = self.search.length_limit(width, self.generator.max_len)
        words, keep = self.task.tgt_dict, self.search.nbest
        return {
            row: [record(words, h["tokens"].tolist(), float(h["score"]), cap) for h in best[:keep]]
            for row, best in zip(rows, found)
        }


def _strategy(words: Any, search: Search) -> Any:
    """What chooses the next tokens where that is ours and not fairseq's."""
    if search.sampling:
        rules = search.sampling_topk, search.sampling_topp, search.sampling_epsilon
        return Sampler(words, search.seed, *rules)
    if search.diverse_beam_groups > 0:
        groups, strength = search.diverse_beam_groups, search.diverse_beam_strength
        return DiverseBeams(words, groups, strength, search.lenpen)
    return None


def decode_in_batches(
    decoding: Callable[[Any, list[int], int], Decoding],
    pairs: Any,
    rows: Sequence[int],
    search: Search,
    done: Callable[[int, int], None] | None = None,
) -> Found:
    """All of ``rows``, in batches that both engines cut alike; ``done`` is told of progress.

    Args:
        decoding: of a batch: the pairs, its rows, and its width in tokens.
    """
    found: Found = {}
    cut = batches(rows, pairs.src_sizes, search.max_tokens, alike=search.sampling)
    begun = (decoding(pairs, rows.tolist(), int(pairs.src_sizes[rows].max())) for rows in cut)
    for ours in side_by_side(begun):
        if done is not None:  # so many sentences and tokens more
            done(len(ours), sum(len(h["tokens"]) for best in ours.values() for h in best[:1]))
        found.update(ours)
    if found.keys() != set(rows):
        raise RuntimeError(f"{len(rows)} sentences went in and {len(found)} came out")
    return found


def side_by_side(begun: Iterable[Decoding], most: int = 3) -> Iterator[Found]:
    """What each decoding returns; ``most`` are under way, so that no device waits for Python."""
    waiting: deque[Decoding] = deque()

    def advance(decoding: Decoding) -> Iterator[Found]:
        try:
            next(decoding)
        except StopIteration as end:
            yield end.value
        else:
            waiting.append(decoding)

    for decoding in begun:
        yield from advance(decoding)
        while len(waiting) >= most:
            yield from advance(waiting.popleft())
    while waiting:
        yield from advance(waiting.popleft())


def record(words: Any, tokens: list[int], score: float, cap: int) -> Record:
    """A hypothesis as a corpus keeps it: ids of the dictionary ``words``, the last its end."""
    kept: Record = {
        "score": round(score, 6) if math.isfinite(score) else None,
        "tokens": tokens,
        "text": text_of(words, tokens),
    }
    if len(tokens) > cap:  # with the end of sentence, which was forced
        kept["capped"] = True
    return kept


def text_of(words: Any, tokens: Sequence[int]) -> str:
    """What ``words.string`` makes of them, which takes ten times longer."""
    symbols, begin, end = words.symbols, words.bos(), words.eos()
    return " ".join([symbols[token] for token in tokens if token != end and token != begin])
