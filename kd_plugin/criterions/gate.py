r"""The gate of hybrid_kd, which is ours: what it computes and what it minimises.

For each sentence, with sg for "no gradient",

.. math:: g \, \mathrm{sg}(l_t / m_t) + (1 - g) \, \mathrm{sg}(l_s / m_s)
    + \lambda \, \mathrm{KL}(\mathrm{Bern}(g) \| \mathrm{Bern}(1/2))

where l_t and l_s are token-level and sentence-level term as mean cross-entropies of the sentence's
tokens, and m_t and m_s their means over the first updates, in which g is 1/2. Its minimiser is
:math:`\sigma((l_s/m_s - l_t/m_t)/\lambda)`; without m and the last term g would go to 0 or 1.
"""

import math
from typing import Optional

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def gate_loss(
    theta: Tensor, l_t: Tensor, l_s: Tensor, means: Optional[Tensor], pull: float
) -> Tensor:
    """What the gate minimises, summed over sentences; 0 until ``means`` (m_t and m_s) are known.

    Args:
        theta: logits of g [B].
        l_t: the token-level term of each sentence, without gradient [B].
        l_s: the sentence-level term [B].
        means: m_t and m_s [2].
        pull: lambda.
    """
    if means is None:
        return 0 * theta.sum()
    m_t, m_s = means.to(l_t)
    g, log_g, log_not_g = theta.sigmoid(), logsigmoid(theta), logsigmoid(-theta)
    kl = math.log(2) + g * log_g + (1 - g) * log_not_g  # KL(Bern(g) || Bern(1/2))
    loss: Tensor = (g * l_t / m_t + (1 - g) * l_s / m_s + pull * kl).sum()
    return loss


class Gate(torch.nn.Module):
    """The logit of g: linear in a sentence's mean encoder state, or one number; 0 at first."""

    def __init__(self, width: Optional[int]):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(width)) if width else None  # [D]
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, states: Tensor) -> Tensor:
        """From mean encoder states [B, D], without gradient to them, logits [B]."""
        states = states.detach()
        bias = self.bias.to(states).expand(len(states))
        return bias if self.weight is None else states @ self.weight.to(states) + bias


def gradient_only(loss: Tensor) -> Tensor:
    """The value 0 with the gradient of ``loss`` [1]."""
    return (loss - loss.detach()).view(1)
