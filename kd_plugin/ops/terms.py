"""Terms of a row's loss: a value that autograd understands, and its gradient by the logits.

Shapes: n rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .targets import Slope, SoftTarget


class Term(Protocol):
    """One number for each row, made of the row's log-probabilities."""

    def value(self, log_p: Tensor) -> Tensor:
        """Of log-probabilities [n, V]; differentiable [n]."""

    def value_and_slope(self, log_p: Tensor) -> tuple[Tensor, Slope]:
        """The same value, and its gradient by the logits of ``log_p``; neither has a graph."""


@dataclass(frozen=True)
class SmoothedNLL:
    """Label-smoothed NLL of tokens, with fairseq's formula: epsilon shared by the V - 1 others."""

    y: Tensor  # [n]
    epsilon: float = 0.0

    def value(self, log_p: Tensor) -> Tensor:
        nll = -log_p.gather(-1, self.y.unsqueeze(-1)).squeeze(-1)
        if not self.epsilon:
            return nll
        each = self._each(log_p)
        return (1 - self.epsilon - each) * nll - each * log_p.sum(-1)

    def value_and_slope(self, log_p: Tensor) -> tuple[Tensor, Slope]:
        value, y = self.value(log_p), self.y.unsqueeze(-1)
        one, each = torch.ones_like(value), self._each(log_p)
        at = (1 - self.epsilon - each) * one.unsqueeze(-1)
        return value, Slope(one, at, y, each * one if each else None)

    def _each(self, log_p: Tensor) -> float:
        return self.epsilon / (log_p.size(-1) - 1) if self.epsilon else 0.0


@dataclass(frozen=True)
class Divergence:
    """``T^2`` times the divergence from a target of the softmax of logits / T."""

    target: SoftTarget
    temperature: float = 1.0

    def value(self, log_p: Tensor) -> Tensor:
        return self.temperature**2 * self.target.divergence(self._tempered(log_p))

    def value_and_slope(self, log_p: Tensor) -> tuple[Tensor, Slope]:
        T, tempered = self.temperature, self._tempered(log_p)
        value, slope = T**2 * self.target.divergence(tempered), self.target.slope(tempered)
        if T == 1:
            return value, slope
        assert slope.mass is not None
        gradient = tempered.exp_().mul_(slope.mass.unsqueeze(-1))  # [n, V]
        slope.subtract_from(gradient, torch.ones_like(value))
        return value, Slope(None, gradient.mul_(-T))

    def _tempered(self, log_p: Tensor) -> Tensor:
        T = self.temperature
        return log_p if T == 1 else torch.log_softmax(log_p / T, -1)


@dataclass(frozen=True)
class Equation:
    """Any function of log-probabilities [n, V] that gives [n] and looks at each row alone."""

    function: Callable[[Tensor], Tensor]

    def value(self, log_p: Tensor) -> Tensor:
        return self.function(log_p)

    def value_and_slope(self, log_p: Tensor) -> tuple[Tensor, Slope]:
        with torch.enable_grad():
            log_p = log_p.detach().requires_grad_()
            value = self.function(log_p)
            if not value.requires_grad:
                return value, Slope(None, torch.zeros_like(log_p))
            (by_log_p,) = torch.autograd.grad(value.sum(), log_p)
        return value.detach(), Slope(-by_log_p.sum(-1), -by_log_p)
