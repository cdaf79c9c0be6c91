"""Where a stretch of lines fits the sources of its neighbours better than its own.

How much of that is chance is told as for the alignment of sequences (Karlin & Altschul, 1990): the
best stretch of N lines whose gains are x exceeds S by chance with a probability of about
N exp(-theta S), where theta is the positive root of mean(exp(theta x)) = 1. In real text a shift of
some twenty lines is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR = (-2, -1, 1, 2)  # offsets at which a line may have its translation
FAR = 31  # lines that have nothing to do with each other
FEWEST = 20  # lines of which anything can be said
CHANCE = 1e-6  # of refusing aligned text
GAIN = 0.3  # spreads that each line of a shifted stretch gains at the least
DEVIATIONS = 6.0
CLIP = 4.0  # spreads that one line can count
LEAST_SPREAD = 0.05  # of lines' likeness; below it, a single shared word would weigh too much

Numbers = NDArray[np.float64]
Likeness = Callable[[int], Numbers]  # at an offset


@dataclass
class Stretch:
    """Lines, from 0, that fit better so many lines behind their own."""

    offset: int
    first: int
    last: int
    evidence: float  # theta S: against chance, in nats

    def is_chance(self, rows: int) -> bool:
        """Whether aligned text of so many lines may have such a stretch."""
        return math.log(rows) - self.evidence >= math.log(CHANCE)

    def __str__(self) -> str:
        way = "after" if self.offset > 0 else "before"
        lines = f"{abs(self.offset)} line{'s' * (abs(self.offset) > 1)}"
        return (
            f"from about line {self.first + 1} on (lines {self.first + 1} to {self.last + 1}) it "
            f"fits the sources better {lines} {way} their own"
        )


def find_shift(sources: Numbers, texts: Numbers, shared: Mapping[int, Numbers]) -> Stretch | None:
    """The stretch that gains most, where chance does not explain it.

    Args:
        sources, texts: lengths of the lines [rows].
        shared: by offset, the share of words that sources and texts so far apart have in common.
    """
    likeness = _likeness(sources, texts, shared)
    worst, found, rows = 0.0, None, len(sources)
    aligned = likeness(0)
    for offset in NEAR:
        start = max(0, -offset)
        own = aligned[start : rows - max(0, offset)]
        gains = np.clip(likeness(offset) - own, -CLIP, CLIP)
        best, first, last = _best_stretch(gains)
        if best > worst and best > GAIN * (last - first):
            evidence = _evidence(gains, best, last - first)
            stretch = Stretch(offset, first + start, last + start - 1, evidence)
            if not stretch.is_chance(rows):
                worst, found = best, stretch
    return found


def beside(sources: Numbers, texts: Numbers, offset: int) -> tuple[Numbers, Numbers]:
    """Sources and the texts so many lines behind them, as far as both are there."""
    rows = len(sources)
    first, last = max(0, -offset), rows - max(0, offset)
    return sources[first:last], texts[first + offset : last + offset]


def _likeness(sources: Numbers, texts: Numbers, shared: Mapping[int, Numbers]) -> Likeness:
    """How alike source i and text i + offset are, from the first i that has such a text."""
    middle = (sources - texts).mean()

    def apart(offset: int) -> Numbers:
        ours, theirs = beside(sources, texts, offset)
        found: Numbers = np.abs(ours - theirs - middle)
        return found

    other = FAR if len(sources) > FAR + FEWEST else 1
    spreads = [max(float(v.std()), LEAST_SPREAD) for v in (apart(other), shared[other])]
    return lambda offset: shared[offset] / spreads[1] - apart(offset) / spreads[0]


def _best_stretch(gains: Numbers) -> tuple[float, int, int]:
    """The largest sum of neighbouring gains, its first place and the place behind its last."""
    sums = np.concatenate([[0.0], gains.cumsum()])
    above = sums - np.minimum.accumulate(sums)
    last = int(above.argmax())
    return float(above[last]), int(sums[: last + 1].argmin()), last


def _evidence(gains: Numbers, best: float, length: int) -> float:
    """Theta S of a stretch.

    Where most lines gain nothing by being aligned (shifted, or alike in length), there is no theta,
    and the stretch is compared with a walk of as many steps as it is long: all or nothing.
    """
    if gains.mean() >= 0:
        far = best > DEVIATIONS * float(gains.std()) * length**0.5
        return math.inf if length >= FEWEST and far else -math.inf
    low, high = 0.0, 50.0
    for _ in range(50):
        middle = (low + high) / 2
        inside = np.exp(np.minimum(middle * gains, 300)).mean() < 1
        low, high = (middle, high) if inside else (low, middle)
    return low * best
