"""Beam search over sentences of a corpus: what fairseq-generate does, and nothing dropped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..data.batches import batches
from ..host.device import moved
from .records import Record


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

    def length_limit(self, width: int, positions: float) -> int:
        """The most tokens before the end of sentence, by fairseq's rule for a padded batch.

        Args:
            width: of the batch, in tokens, padding and ends of sentences included.
            positions: that the decoder has.
        """
        return min(int(self.max_len_a * width + self.max_len_b), int(positions) - 1)


DecodeBatch = Callable[[Any, list[int], int], dict[int, list[Record]]]  # pairs, rows, width


class Decoder:
    """A teacher (several: fairseq's ensemble) with fairseq's own sequence generator."""

    def __init__(self, task: Any, models: Sequence[Any], search: Search, device: torch.device):
        """Put ``models`` on ``device``."""
        self.task, self.search, self.device = task, search, device
        for model in models:
            model.eval().make_generation_fast_(need_attn=False, beamable_mm_beam_size=None)
            model.to(device=device, dtype=torch.float16 if search.fp16 else torch.float32)
        self.generator = task.build_generator(models, search)

    def decode(
        self, pairs: Any, rows: Sequence[int], done: Callable[[int, int], None] | None = None
    ) -> dict[int, list[Record]]:
        """Translate sentences ``rows`` of a ``LanguagePairDataset``; K hypotheses for each.

        A sentence whose search ends without a finished hypothesis, because the teacher's
        probabilities are not finite, has none.
        """
        return decode_in_batches(self.decode_batch, pairs, rows, self.search, done)

    def decode_batch(self, pairs: Any, rows: list[int], width: int) -> dict[int, list[Record]]:
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

    def _decode_batch(self, sample: Any) -> dict[int, list[Record]]:
        sample = moved(sample, self.device)
        found = self.task.inference_step(self.generator, [], sample)
        width = sample["net_input"]["src_tokens"].size(1)
        cap = self.search.length_limit(width, self.generator.max_len)
        words, keep = self.task.tgt_dict, self.search.nbest
        return {
            row: [record(words, h["tokens"].tolist(), float(h["score"]), cap) for h in best[:keep]]
            for row, best in zip(sample["id"].tolist(), found)
        }


def decode_in_batches(
    decode_batch: DecodeBatch,
    pairs: Any,
    rows: Sequence[int],
    search: Search,
    done: Callable[[int, int], None] | None = None,
) -> dict[int, list[Record]]:
    """All of ``rows``, in batches that both engines cut alike; ``done`` is told of progress."""
    found: dict[int, list[Record]] = {}
    for batch in batches(rows, pairs.src_sizes, search.max_tokens):
        ours = decode_batch(pairs, batch.tolist(), int(pairs.src_sizes[batch].max()))
        if done is not None:  # so many sentences and tokens more
            done(len(ours), sum(len(h["tokens"]) for best in ours.values() for h in best[:1]))
        found.update(ours)
    if found.keys() != set(rows):
        raise RuntimeError(f"{len(rows)} sentences went in and {len(found)} came out")
    return found


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
    symbols, ignored = words.symbols, (words.bos(), words.eos())
    return " ".join(symbols[token] for token in tokens if token not in ignored)
