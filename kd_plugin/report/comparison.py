"""Systems, each a set of seeds, scored and compared to a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from .delta_accuracy import delta_accuracy
from .metrics import Metrics
from .paired import Paired, paired
from .scores import Counts
from .significance import bootstrap, holm, p_values

LEAST_SEEDS = 3  # of both systems, for a test
LEVEL = 0.05
RESAMPLES = 1000


@dataclass
class Score:
    """One metric of one system, in its own points (BLEU and chrF: 0 to 100)."""

    runs: list[float]
    mean: float
    sd: float | None  # sample standard deviation (n - 1); None for one run
    interval: list[float] | None = None  # 95 % bootstrap, of the mean
    difference: float | None = None  # to the baseline: of the seeds of both, if known, or of means
    p: float | None = None
    p_holm: float | None = None
    significant: bool = False
    accuracy: float | None = None  # of the difference, in percent; see :mod:`.delta_accuracy`
    length: float | None = None  # of BLEU: of translations over references, in tokens; runs' mean
    paired: Paired | None = None  # where both have the same seeds


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
    metrics: Metrics,
    origlang: Sequence[str],
    baseline: str | None,
    shuffles: int,
    seed: int,
    seeds: Mapping[str, Sequence[int]],
) -> None:
    """Fill in the scores of ``systems``; ``seeds`` are those of the runs, where they are known.

    ``origlang`` has the original language of each sentence, "" where it is unknown, and may be
    empty. Tests and intervals are of all sentences. Each row has its own random numbers from
    ``seed``: it does not depend on which other systems are compared.
    """
    counts = {s.name: np.stack([metrics.counts(f) for f in s.files]) for s in systems}
    base = next((system for system in systems if system.name == baseline), None)
    languages = np.array(origlang)
    for system in systems:
        runs = counts[system.name]
        system.scores = describe(runs, metrics)
        bounds = bootstrap(runs, metrics.score, RESAMPLES, seed).T.tolist()
        for score, interval in zip(system.scores.values(), bounds):
            score.interval = interval
        for language in sorted({*origlang} - {""}):
            system.by_origlang[language] = describe(runs[:, languages == language], metrics)
    if base is None:
        return
    rows = [system for system in systems if system is not base]
    theirs = [*seeds.get(base.name, ())]
    for system in rows:
        ours = [*seeds.get(system.name, ())]
        pairs = [(ours.index(one), theirs.index(one)) for one in shared_seeds(ours, theirs)]
        subtract(system.scores, base.scores, pairs, metrics.measure.tokenize)
        for language, scores in system.by_origlang.items():
            subtract(scores, base.by_origlang[language], pairs, metrics.measure.tokenize)
        if ours == theirs and len(ours) > 1:
            both = counts[system.name], counts[base.name]
            found = paired(*both, metrics.score, RESAMPLES, seed)
            for score, each in zip(system.scores.values(), found):
                score.paired = each
    tested = [system for system in rows if min(system.n, base.n) >= LEAST_SEEDS]
    for system in tested:
        pair = counts[system.name], counts[base.name]
        p = p_values(*pair, metrics.score, shuffles, seed).tolist()
        for score, value in zip(system.scores.values(), p):
            score.p = value
    for metric in metrics.names:
        family = [system.scores[metric] for system in tested]
        for score, p in zip(family, holm([score.p or 0.0 for score in family])):
            score.p_holm, score.significant = p, p < LEVEL


def describe(runs: Counts, metrics: Metrics) -> dict[str, Score]:
    """Scores of the runs [n, S, D] of a system, with mean and standard deviation."""
    sums = runs.sum(1)  # [n, D]
    scores = metrics.score(sums)  # [n, M]
    deviations = scores.std(0, ddof=1).tolist() if len(runs) > 1 else [None] * len(metrics.names)
    columns = zip(metrics.names, scores.T.tolist(), scores.mean(0).tolist(), deviations)
    found = {metric: Score(runs, mean, sd) for metric, runs, mean, sd in columns}
    lengths = metrics.measure.lengths(sums)
    if lengths is not None:
        found["BLEU"].length = float(lengths.mean())
    return found


def shared_seeds(ours: Sequence[int], theirs: Sequence[int]) -> list[int]:
    """The seeds of which a difference is: those that both have, rising."""
    return sorted({*ours} & {*theirs})


def subtract(
    ours: Mapping[str, Score],
    base: Mapping[str, Score],
    pairs: Sequence[tuple[int, int]],
    tokenize: str,
) -> None:
    """Fill in differences to a baseline, and their accuracies.

    ``pairs`` are the runs of each that have one seed: of these is the difference, or of the means
    where there are none. ``tokenize`` is BLEU's.
    """
    for metric, score in ours.items():
        theirs = base[metric]
        each = [score.runs[k] - theirs.runs[j] for k, j in pairs]
        score.difference = fmean(each) if each else score.mean - theirs.mean
        score.accuracy = delta_accuracy(metric, score.difference, tokenize)
