"""Student's t of a few seeds: intervals, and how many seeds a verdict would need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import mean, stdev

POWER = 0.8
MOST = 100  # seeds; beyond that nobody trains


def inside(t: float, freedom: int) -> float:
    """P(-t < T < t) of Student's t, by the finite series for whole degrees of freedom.

    Source: Abramowitz & Stegun (1964), 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    if not odd:
        return sine * total
    return (angle + sine * (total if freedom > 1 else 0)) * 2 / math.pi


@cache
def quantile(p: float, freedom: int) -> float:
    """The value below which Student's t is with probability ``p`` from 0.5 on, by bisection."""
    low, high = 0.0, 1.0
    while inside(high, freedom) < 2 * p - 1:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if inside(middle, freedom) < 2 * p - 1:
            low = middle
        else:
            high = middle
    return high


def t_interval(values: Sequence[float], level: float = 0.05) -> tuple[float, float]:
    """Interval of the mean of two or more independent values; ``level`` is left outside of it."""
    half = quantile(1 - level / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def seeds_needed(distance: float, sd: float, level: float = 0.05) -> int | None:
    """So many seeds that a t interval leaves out a bound, in four of five repetitions.

    A choice of ours: the smallest n with distance sqrt(n) / sd >= t(1 - level / 2) + t(0.8), both
    of n - 1 degrees of freedom, which is the usual approximation to the power of a t test.

    Args:
        distance: of the true mean from the bound.
        sd: between seeds.
        level: of the interval.

    Returns:
        None where 100 are too few.
    """
    for n in range(2, MOST + 1):
        wanted = quantile(1 - level / 2, n - 1) + quantile(POWER, n - 1)
        if distance > 0 and distance * math.sqrt(n) >= sd * wanted:
            return n
    return None
