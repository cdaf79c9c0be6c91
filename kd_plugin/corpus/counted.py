"""What is counted of a text: its words, and how its hypotheses compare with the references."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from .references import Targets
from .similarity import Metric

Row = dict[str, Any]


class Counted(Protocol):
    """One thing that is told of a text."""

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        """A sentence that has translations, best first."""

    def row(self) -> Row:
        """What was found."""


class Words:
    """Words, pairs of neighbouring words, lengths and copies."""

    def __init__(self) -> None:
        self.ngrams: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
        self.sentences = self.of_source = self.copies = 0

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        words = texts[0].split()
        self.ngrams[0].update(words)
        self.ngrams[1].update(itertools.pairwise(words))
        self.sentences += 1
        self.of_source += len(source.split())
        self.copies += source == texts[0]

    def row(self) -> Row:
        words = self.ngrams[0].total()
        entropies = [_entropy(found.values()) for found in self.ngrams]
        return {
            "sentences": self.sentences,
            "words": words,
            "types": len(self.ngrams[0]),
            "entropy_1": entropies[0],
            "entropy_2": entropies[1],
            "conditional": entropies[1] - entropies[0],
            "length_ratio": words / max(self.of_source, 1),
            "copies": self.copies / max(self.sentences, 1),
        }


def _entropy(counts: Iterable[int]) -> float:
    """Bits of a draw from what was counted."""
    numbers = list(counts)
    total = sum(numbers)
    return math.fsum(-n / total * math.log2(n / total) for n in numbers)


class Nbest:
    """Scores of best and of likest hypotheses against the references."""

    def __init__(self, metrics: Sequence[Metric], references: Targets):
        self.metrics, self.references = metrics, references
        self.sums: dict[str, Any] = {}
        self.identical = self.sentences = 0

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        reference = self.references[row]
        for metric in self.metrics:
            counts = metric.counts(texts, [reference])[:, 0]
            likest = int(np.argmax(metric.scores(counts).round(9)))
            for name, place in ((metric.name, 0), (f"oracle_{metric.name}", likest)):
                self.sums[name] = self.sums.get(name, 0) + counts[place]
        self.sentences += 1
        self.identical += texts[0] == reference

    def state(self) -> dict[str, Any]:
        """What was counted so far, for :meth:`join`."""
        counts = {"identical": self.identical, "sentences": self.sentences}
        return {**counts, **{f"sum.{name}": counts for name, counts in self.sums.items()}}

    def join(self, state: dict[str, Any]) -> None:
        """Add what was counted of other sentences."""
        self.identical += state.pop("identical")
        self.sentences += state.pop("sentences")
        for name, counts in state.items():
            name = name.removeprefix("sum.")
            self.sums[name] = self.sums.get(name, 0) + counts

    def row(self) -> Row:
        told: Row = {"identical": self.identical / max(self.sentences, 1)}
        for metric in self.metrics:
            for name in (metric.name, f"oracle_{metric.name}"):
                if name in self.sums:
                    told[name] = metric.corpus(self.sums[name].tolist())
        return told
