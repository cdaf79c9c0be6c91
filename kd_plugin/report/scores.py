"""BLEU and chrF as sums over sentences, so that a corpus can be scored again in microseconds.

The counts and the formulas are sacrebleu's own. Two of the methods used here are not public,
because it has no public way from sentences to counts and back; nothing else may call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from ..errors import InputError

METRICS = ("BLEU", "chrF")

Counts = NDArray[np.int64]  # [..., D]: additive over sentences
Scores = NDArray[np.float64]  # [..., M], of M metrics: in points, 0 to 100


class Measure:
    """Metrics, both or ``only`` one, against references: for each reference, its S sentences."""

    def __init__(
        self, references: Sequence[Sequence[str]], tokenize: str = "13a", only: str = ""
    ) -> None:
        """Raises InputError for a tokenizer that is not installed; chrF uses none."""
        self.metrics, self.tokenize = dict[str, Any](), tokenize
        try:
            if only != "chrF":
                self.metrics["BLEU"] = BLEU(tokenize=tokenize, references=references)
        except (ImportError, OSError, RuntimeError) as error:  # a package or a download is missing
            reason = " ".join(str(error).split())
            raise InputError(f"--tokenize {tokenize} cannot be used: {reason}") from error
        if only != "BLEU":
            self.metrics["chrF"] = CHRF(references=references)

    def counts(self, hypotheses: Sequence[str]) -> Counts:
        """What the metrics count in each of S sentences [S, D]."""
        parts = [
            metric._extract_corpus_statistics(hypotheses, None) for metric in self.metrics.values()
        ]
        return np.concatenate(parts, axis=1)

    def score(self, sums: Counts) -> Scores:
        """The corpus scores [..., M] of summed counts [..., D]."""
        rows = sums.reshape(-1, sums.shape[-1])
        bleu = self.metrics.get("BLEU")
        width = 2 + 2 * bleu.max_ngram_order if bleu else 0  # lengths, matches and n-grams
        parts = {"BLEU": rows[:, :width].tolist(), "chrF": rows[:, width:].tolist()}
        columns = [
            [metric._compute_score_from_stats(row).score for row in parts[name]]
            for name, metric in self.metrics.items()
        ]
        scores: Scores = np.array(columns).T.reshape(*sums.shape[:-1], len(self.metrics))
        return scores

    def lengths(self, sums: Counts) -> Scores | None:
        """BLEU's tokens of the translations for each one of the references [...]; None without it.

        Of several references the one whose length is closest counts, as in BLEU.
        """
        if "BLEU" not in self.metrics:
            return None
        return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))

    def signatures(self) -> dict[str, str]:
        """sacrebleu's signature of each metric."""
        return {name: str(metric.get_signature()) for name, metric in self.metrics.items()}
