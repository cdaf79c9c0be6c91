"""How often people agree with a difference of a metric, whatever the size of the test set.

Source: Kocmi et al. (2024), "Navigating the Metrics Maze", ACL; the constants are those of its tool
(https://github.com/kocmitom/MT-Thresholds).
"""

from __future__ import annotations

import math

CONSTANTS = {  # a, b of accuracy(delta) = a / (1 + exp(-b delta)), in percent
    "BLEU": (88.33, 0.966),
    "chrF": (93.0, 1.114),
}


def delta_accuracy(metric: str, difference: float) -> float | None:
    """The share of pairs of systems, in percent, in which people prefer the one that is better.

    Of pairs whose scores differ by ``difference`` points of ``metric``; None for a metric without
    published constants here.
    """
    if metric not in CONSTANTS:
        return None
    a, b = CONSTANTS[metric]
    return a / (1 + math.exp(-b * abs(difference)))
