"""How often people agree with a difference of a metric, whatever the size of the test set.

Source: Kocmi et al. (2024), "Navigating the Metrics Maze", ACL; the constants are those of its tool
and its table of thresholds (https://github.com/kocmitom/MT-Thresholds).
"""

from __future__ import annotations

import math

CONSTANTS = {  # a, b of accuracy(delta) = a / (1 + exp(-b delta)), in percent
    "BLEU": (88.33, 0.966),
    "chrF": (93.0, 1.114),
    "spBLEU-200": (91.0, 0.808),
    "COMET20": (97.33, 0.727),
    "COMET22": (96.22, 2.836),
    "CometKiwi22": (98.88, 2.719),
    "MetricX-23-L": (93.6, 26.28),
}
HUNDREDTHS = ("COMET20", "COMET22", "CometKiwi22")  # whose delta is counted in points of 100
TOKENIZERS = {"flores200": "spBLEU-200", "spBLEU-1K": None, "flores101": None, "spm": None}


def delta_accuracy(metric: str, difference: float, tokenize: str = "13a") -> float | None:
    """The share of pairs of systems, in percent, in which people prefer the one that is better.

    Args:
        metric: as it is called here; COMETs are scores from 0 to 1, as they come out of the model.
        difference: of two systems, in the metric's own points.
        tokenize: of BLEU; with ``flores200`` it is spBLEU, which has its own constants.

    Returns:
        None for a metric without published constants here.
    """
    name = TOKENIZERS.get(tokenize, metric) if metric == "BLEU" else metric
    if name not in CONSTANTS:
        return None
    a, b = CONSTANTS[name]
    points = 100 * difference if name in HUNDREDTHS else difference
    return a / (1 + math.exp(-b * abs(points)))
