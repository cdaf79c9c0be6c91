r"""Expected calibration error (Guo et al., 2017, equation 3).

Predictions are sorted into M bins of equal width by their confidence, the probability of the
likeliest token; with what share of a bin's n_m predictions are right and their mean confidence,

.. math:: \mathrm{ECE} = \sum_{m=1}^{M} \frac{n_m}{n} \,
    |\, \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \,|

A prediction is right where it is the reference's token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BINS = 15  # M of Guo et al., Table 1


def bin_of(confidence: Tensor, bins: int) -> Tensor:
    """The bin (m - 1)/M < confidence <= m/M of each prediction, from 0 [n]."""
    return (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)


def bin_sums(confidence: Tensor, right: Tensor, group: Tensor, shape: Sequence[int]) -> Tensor:
    """Predictions, right ones and summed confidence in each bin of each group [G, M, 3], float64.

    Args:
        confidence: of each prediction, 0 to 1, float64 [n].
        right: whether it is the reference's token [n].
        group: the group of each prediction, 0 to G - 1 [n].
        shape: G and M.
    """
    groups, bins = shape
    columns = torch.stack([torch.ones_like(confidence), right.double(), confidence], -1)
    cell = group * bins + bin_of(confidence, bins)
    return columns.new_zeros(groups * bins, 3).index_add_(0, cell, columns).view(groups, bins, 3)


def expected_error(sums: Tensor) -> float:
    """ECE, as a share, of :func:`bin_sums` [M, 3] that hold at least one prediction."""
    count, right, confidence = sums.unbind(-1)
    # n_m / n |acc - conf| = |right - confidence| / n, where an empty bin is 0
    return float((right - confidence).abs().sum() / count.sum())
