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
        found: dict[int, list[Record]] = {}
        for batch in batches(rows, pairs.src_sizes, self.search.max_tokens):
            ours = self._decode_or_split(pairs, [int(row) for row in batch])
            if done is not None:  # so many sentences and tokens more
                done(len(ours), sum(len(h["tokens"]) for best in ours.values() for h in best[:1]))
            found.update(ours)
        if found.keys() != set(rows):
            raise RuntimeError(f"{len(rows)} sentences went in and {len(found)} came out")
        return found

    def _decode_or_split(self, pairs: Any, rows: list[int]) -> dict[int, list[Record]]:
        """One sentence that fails, or too little memory, does not cost the rest of its batch."""
        try:
            return self._decode_batch(pairs.collater([pairs[row] for row in rows]))
        except AssertionError:  # fairseq's search ran to its last step with nothing finished
            if len(rows) == 1:
                return {rows[0]: []}
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
        half = len(rows) // 2
        first, second = rows[:half], rows[half:]
        return {**self._decode_or_split(pairs, first), **self._decode_or_split(pairs, second)}

    def _decode_batch(self, sample: Any) -> dict[int, list[Record]]:
        sample = moved(sample, self.device)
        found = self.task.inference_step(self.generator, [], sample)
        cap = self._length_limit(sample)
        keep = self.search.nbest
        return {
            row: [self._record(hypothesis, cap) for hypothesis in best[:keep]]
            for row, best in zip(sample["id"].tolist(), found)
        }

    def _length_limit(self, sample: Any) -> int:
        width = sample["net_input"]["src_tokens"].size(1)
        wanted = int(self.search.max_len_a * width + self.search.max_len_b)
        return min(wanted, int(self.generator.max_len) - 1)

    def _record(self, hypothesis: Any, cap: int) -> Record:
        tokens = hypothesis["tokens"].tolist()
        score = float(hypothesis["score"])
        record: Record = {
            "score": round(score, 6) if math.isfinite(score) else None,
            "tokens": tokens,
            "text": self.task.tgt_dict.string(torch.tensor(tokens)),
        }
        if len(tokens) > cap:  # with the end of sentence, which was forced
            record["capped"] = True
        return record
