"""Systems, each a set of seeds, scored and compared to a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .scores import METRICS, Counts, Measure
from .significance import bootstrap, holm, p_values

LEAST_SEEDS = 3  # of both systems, for a test
LEVEL = 0.05
RESAMPLES = 1000


@dataclass
class Score:
    """One metric of one system, in points (0 to 100)."""

    runs: list[float]
    mean: float
    sd: float | None  # sample standard deviation (n - 1); None for one run
    interval: list[float] | None = None  # 95 % bootstrap, of the mean
    difference: float | None = None  # to the baseline's mean
    p: float | None = None
    p_holm: float | None = None
    significant: bool = False


@dataclass
class System:
    """The files of a system's runs, one a seed, and how they score."""

    name: str
    files: list[str]
    scores: dict[str, Score] = field(default_factory=dict)  # by metric
    by_origlang: dict[str, dict[str, Score]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.files)


def compare(
    systems: Sequence[System],
    texts: Mapping[str, Sequence[str]],
    measure: Measure,
    origlang: Sequence[str],
    baseline: str | None,
    shuffles: int,
    seed: int,
) -> None:
    """Fill in the scores of ``systems``, whose files' sentences are in ``texts``.

    ``origlang`` has the original language of each sentence, "" where it is unknown, and may be
    empty. Tests and intervals are of all sentences. Each row has its own random numbers from
    ``seed``: it does not depend on which other systems are compared.
    """
    counts = {s.name: np.stack([measure.counts(texts[f]) for f in s.files]) for s in systems}
    base = next((system for system in systems if system.name == baseline), None)
    languages = np.array(origlang)
    for system in systems:
        runs = counts[system.name]
        system.scores = describe(runs, measure)
        bounds = bootstrap(runs, measure.score, RESAMPLES, seed).T.tolist()
        for score, interval in zip(system.scores.values(), bounds):
            score.interval = interval
        for language in sorted({*origlang} - {""}):
            system.by_origlang[language] = describe(runs[:, languages == language], measure)
    if base is None:
        return
    rows = [system for system in systems if system is not base]
    for system in rows:
        subtract(system.scores, base.scores)
        for language, scores in system.by_origlang.items():
            subtract(scores, base.by_origlang[language])
    tested = [system for system in rows if min(system.n, base.n) >= LEAST_SEEDS]
    for system in tested:
        pair = counts[system.name], counts[base.name]
        p = p_values(*pair, measure.score, shuffles, seed).tolist()
        for score, value in zip(system.scores.values(), p):
            score.p = value
    for metric in METRICS:
        family = [system.scores[metric] for system in tested]
        for score, p in zip(family, holm([score.p or 0.0 for score in family])):
            score.p_holm, score.significant = p, p < LEVEL


def describe(runs: Counts, measure: Measure) -> dict[str, Score]:
    """Scores of the runs [n, S, D] of a system, with mean and standard deviation."""
    scores = measure.score(runs.sum(1))  # [n, M]
    deviations = scores.std(0, ddof=1).tolist() if len(runs) > 1 else [None] * len(METRICS)
    columns = zip(METRICS, scores.T.tolist(), scores.mean(0).tolist(), deviations)
    return {metric: Score(runs, mean, sd) for metric, runs, mean, sd in columns}


def subtract(ours: Mapping[str, Score], base: Mapping[str, Score]) -> None:
    for metric, score in ours.items():
        score.difference = score.mean - base[metric].mean
