r"""A gated linear unit whose channels can be closed: the first layer of a feed-forward.

.. math:: h = \sigma(s) \odot (W_1 x + b_1) \odot \sigma(V x)

The feed-forward is then :math:`W_2 h + b_2`. Wei et al. (2023) name a GLU for adaptive capacity and
their wiring is not public: the equation, its width and how it starts are ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

OPEN = 4.0  # s at the start, so that every gate is at 0.982; ours


def gated_width(plain: int) -> int:
    """W, the channels that cost as many parameters as a plain feed-forward of width ``plain``.

    Three matrices [D, W] stand in for two [D, F], so W is two thirds of F. With biases and gates
    the two feed-forwards differ by at most 1 / 2F + 1 / 6D of their parameters.
    """
    return round(2 * plain / 3)


class GatedLinear(nn.Module):
    """From D features to W gated channels, [..., D] to [..., W].

    Args:
        value: W_1 and b_1.
        gate: V, of the same size; without a bias, or the parameters would be more than 1 % apart
            at small D.
    """

    def __init__(self, value: nn.Module, gate: nn.Module, width: int):
        super().__init__()
        self.value = value
        self.gate = gate
        self.channel_logits = nn.Parameter(torch.full((width,), OPEN))  # s [W]

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.channels() * self.value(x) * torch.sigmoid(self.gate(x))
        return h

    def channels(self) -> Tensor:
        """The gate of each channel, in (0, 1), [W]."""
        return torch.sigmoid(self.channel_logits)

    def effective_width(self) -> float:
        """The sum of the channels' gates, between 0 and W."""
        return float(torch.sigmoid(self.channel_logits.detach().double()).sum())
