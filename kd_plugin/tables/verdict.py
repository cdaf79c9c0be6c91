"""Whether scores support a claim: a pure function of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from ..report.student import MOST, seeds_needed, t_interval
from .claims import Statement

LEVEL = 0.05
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_RUN = "not run"
ALONE = "on this test set, of others nothing is known"


@dataclass(frozen=True)
class Measured:
    """A statement's sum, seed by seed, or why there is none."""

    statement: Statement
    values: Sequence[float] = ()  # one a seed that all its cells have
    bootstrap: tuple[float, float] | None = None  # over seeds and sentences
    missing: str = ""  # why it cannot be computed


@dataclass(frozen=True)
class Judged:
    """A statement's verdict, and why; ``seeds``: about so many would decide."""

    verdict: str
    mean: float | None = None
    interval: tuple[float, float] | None = None
    seeds: int | None = None
    why: str = ""


def judge(measured: Sequence[Measured]) -> tuple[str, list[Judged]]:
    """The verdict on a test, all of whose statements must hold, and on each of them.

    A statement is supported where an interval of its sum lies in the claimed range, contradicted
    where it lies outside, and undecided otherwise. The interval is the hull of two: Student's t
    over the seeds' values, which knows that seeds are few, and where there is one the hierarchical
    bootstrap, which knows that sentences are. With k statements the t interval leaves 5 % / k
    outside (Bonferroni), half of it on each side: a test whose truth lies on the edge of the claim
    is called contradicted, and called supported, once in forty each at most; without a bootstrap,
    as far as this test set goes.
    """
    judged = [_judge(one, level_of(measured)) for one in measured]
    verdicts = {one.verdict for one in judged}
    for verdict in (CONTRADICTED, NOT_RUN, UNDECIDED):
        if verdict in verdicts:
            return verdict, judged
    return SUPPORTED, judged


def level_of(statements: Sequence[object]) -> float:
    """What the interval of one of them leaves outside."""
    return LEVEL / len(statements)


def _judge(measured: Measured, level: float) -> Judged:
    if measured.missing:
        return Judged(NOT_RUN, why=measured.missing)
    values, said = measured.values, measured.statement
    middle = mean(values)
    if len(values) < 2:
        why = "one seed; a verdict needs two or more that all its rows share"
        return Judged(UNDECIDED, middle, why=why)
    seeds = t_interval(values, level)
    ends = [seeds, measured.bootstrap or seeds]
    interval = min(low for low, _ in ends), max(high for _, high in ends)
    verdict = _place(interval, said)
    if verdict != UNDECIDED:
        return Judged(verdict, middle, interval, why="" if measured.bootstrap else ALONE)
    if _place(seeds, said) != UNDECIDED:
        return Judged(UNDECIDED, middle, interval, why="more sentences are needed, not more seeds")
    bounds = [abs(middle - bound) for bound in (said.low, said.high)]
    needed = seeds_needed(min(bounds), stdev(values), level)
    if needed is None:
        return Judged(UNDECIDED, middle, interval, why=f"more than {MOST} seeds would decide")
    needed = max(needed, len(values) + 1)
    return Judged(UNDECIDED, middle, interval, needed, f"about {needed} seeds would decide")


def _place(interval: tuple[float, float], said: Statement) -> str:
    low, high = interval
    if said.low < low and high < said.high:
        return SUPPORTED
    return CONTRADICTED if high < said.low or low > said.high else UNDECIDED
