"""BLEU and chrF as sums over sentences, so that a corpus can be scored again in microseconds.

The counts and the formulas are sacrebleu's own. Two of the methods used here are not public,
because it has no public way from sentences to counts and back; nothing else may call them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from ..errors import InputError

METRICS = ("BLEU", "chrF")  # M = 2

Counts = NDArray[np.int64]  # [..., D]: additive over sentences
Scores = NDArray[np.float64]  # [..., M]: in points, 0 to 100


class Measure:
    """Both metrics against references: for each reference, its S sentences."""

    def __init__(self, references: Sequence[Sequence[str]], tokenize: str = "13a") -> None:
        """Raises InputError for a tokenizer that is not installed; chrF uses none."""
        try:
            bleu = BLEU(tokenize=tokenize, references=references)
        except (ImportError, OSError, RuntimeError) as error:  # a package or a download is missing
            reason = " ".join(str(error).split())
            raise InputError(f"--tokenize {tokenize} cannot be used: {reason}") from error
        self.metrics = (bleu, CHRF(references=references))
        self.tokenize = tokenize
        self._width = 2 + 2 * bleu.max_ngram_order  # lengths, matches and n-grams

    def counts(self, hypotheses: Sequence[str]) -> Counts:
        """What the metrics count in each of S sentences [S, D]."""
        parts = [metric._extract_corpus_statistics(hypotheses, None) for metric in self.metrics]
        return np.concatenate(parts, axis=1)

    def score(self, sums: Counts) -> Scores:
        """The corpus scores [..., M] of summed counts [..., D]."""
        rows = sums.reshape(-1, sums.shape[-1])
        parts = rows[:, : self._width].tolist(), rows[:, self._width :].tolist()
        columns = [
            [metric._compute_score_from_stats(row).score for row in part]
            for metric, part in zip(self.metrics, parts)
        ]
        scores: Scores = np.array(columns).T.reshape(*sums.shape[:-1], len(METRICS))
        return scores

    def signatures(self) -> dict[str, str]:
        """sacrebleu's signature of each metric."""
        return {n: str(metric.get_signature()) for n, metric in zip(METRICS, self.metrics)}
