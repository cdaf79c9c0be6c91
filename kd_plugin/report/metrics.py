"""The metrics of a table: BLEU and chrF of texts, and numbers that other programs computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .scores import METRICS, Counts, Measure, Scores
from .segments import Segments


class Metrics:
    """M metrics of files of translations, each a function of counts that add over sentences."""

    def __init__(
        self,
        measure: Measure,
        texts: Mapping[str, Sequence[str]],
        segments: Sequence[Segments] = (),
    ):
        """``texts`` are the sentences of each file."""
        self.measure, self.texts, self.segments = measure, texts, segments
        self.names = (*METRICS, *(each.name for each in segments))
        self.lower_is_better = {each.name for each in segments if each.better == "lower"}

    def counts(self, file: str) -> Counts:
        """Of the S sentences of a file [S, D]."""
        parts = [self.measure.counts(self.texts[file])]
        return np.concatenate([*parts, *(each.counts(file) for each in self.segments)], axis=1)

    def score(self, sums: Counts) -> Scores:
        """The scores [..., M] of summed counts [..., D]."""
        width = sums.shape[-1] - 2 * len(self.segments)
        scores = self.measure.score(sums[..., :width])
        others = [
            each.score(sums[..., start : start + 2])
            for each, start in zip(self.segments, range(width, sums.shape[-1], 2))
        ]
        return np.concatenate([scores, *(other[..., None] for other in others)], axis=-1)

    def signatures(self) -> dict[str, str]:
        """One line for each metric."""
        return {
            **self.measure.signatures(),
            **{each.name: f"{each.signature}|better:{each.better}" for each in self.segments},
        }
