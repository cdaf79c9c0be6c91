"""BLEU and chrF of systems over their seeds, compared to a baseline; see docs/scoring.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import sacrebleu

from ..version import versions
from .comparison import LEAST_SEEDS, LEVEL, RESAMPLES, System, compare
from .inputs import check_names, read_origlang, read_texts
from .metrics import Metrics
from .scores import Measure
from .segments import read_segments


@dataclass(frozen=True)
class Scores:
    """Scored systems, and all that their numbers depend on."""

    systems: Sequence[System]
    references: Sequence[str]
    sentences: int
    origlang: list[str]
    checkpoint_rule: str
    signatures: dict[str, str]
    baseline: str | None
    shuffles: int
    seed: int
    metrics: Metrics

    def everything(self) -> dict[str, Any]:
        """As JSON; docs/scoring.md says what is what."""
        return {
            "references": self.references,
            "sentences": self.sentences,
            "sentences_by_origlang": Counter(self.origlang),
            "checkpoint_rule": self.checkpoint_rule,
            "signatures": self.signatures,
            "baseline": self.baseline,
            "test": {
                "shuffles": self.shuffles,
                "seed": self.seed,
                "least_seeds": LEAST_SEEDS,
                "level": LEVEL,
                "correction": "Holm",
            },
            "bootstrap": {"resamples": RESAMPLES, "seed": self.seed, "level": 0.95},
            "systems": [{"n": system.n, **asdict(system)} for system in self.systems],
            "versions": versions(sacrebleu, np),
        }


def score(
    systems: Sequence[System],
    references: Sequence[str],
    baseline: str | None = None,
    origlang: str | None = None,
    checkpoint_rule: str | None = None,
    tokenize: str = "13a",
    shuffles: int = 10_000,
    seed: int = 12345,
    segments: Sequence[str] = (),
    seeds: Mapping[str, Sequence[int]] | None = None,
) -> Scores:
    """Score ``systems``, whose ``scores`` are filled in, and compare them with a baseline.

    Args:
        systems: names and files of translations.
        references: files.
        baseline: the name of the system that the others are compared to.
        origlang: a file with the original language of each sentence.
        checkpoint_rule: how checkpoints were chosen, for the signature.
        tokenize: of BLEU.
        shuffles: of the test.
        seed: of shuffles and resamples.
        segments: endings of files with numbers that other programs computed; see :mod:`.segments`.
        seeds: of the runs of a system; only runs of one seed are compared with each other.

    Raises:
        InputError: for input that makes no table.
    """
    check_names(systems, baseline)
    sentences, texts = read_texts(references, systems)
    size = len(sentences[0])
    languages = read_origlang(origlang, size) if origlang else []
    numbers = [read_segments(ending, list(texts), size) for ending in segments]
    metrics = Metrics(Measure(sentences, tokenize), texts, numbers)
    compare(systems, metrics, languages, baseline, shuffles, seed, seeds or {})
    rule = checkpoint_rule or "unstated"
    signatures = {
        metric: f"{text}|checkpoint:{rule}" for metric, text in metrics.signatures().items()
    }
    return Scores(
        systems, references, size, languages, rule, signatures, baseline, shuffles, seed, metrics
    )
