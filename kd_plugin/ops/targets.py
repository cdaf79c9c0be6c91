"""Soft targets, how far a model is from them, and the slope of that distance by its logits.

Shapes: n rows, V vocabulary, K entries that a target names.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SoftTarget:
    """Probabilities of n rows: of all V tokens, or of the K in ``ids`` and a rule for the others.

    The others have 0, or ``exp(log_each)`` each, or, with ``ghost``, that much together: one event,
    compared with the model's mass on them. An id may stand in several entries of a row where the
    others have 0. ``log_q`` is finite everywhere; where ``q`` is 0 it means nothing.
    """

    q: Tensor  # [n, V], or [n, K] with ids
    log_q: Tensor  # as q
    ids: Tensor | None = None  # [n, K]
    log_each: Tensor | None = None  # [n]
    ghost: bool = False

    def divergence(self, log_p: Tensor) -> Tensor:
        r"""How far log-probabilities ``log_p`` [n, V] are from the target, in nats [n].

        .. math:: \sum_v q_v (\log q_v - \log p_v)

        over what the target names: the KL divergence of a whole one, 0 for equal models.
        """
        at = log_p if self.ids is None else log_p.gather(-1, self.ids)  # as q
        value = (self.q * (self.log_q - at)).sum(-1)
        if self.log_each is None:
            return value
        each = self.log_each.exp()
        if self.ghost:
            return value + each * (self.log_each - log_rest_of(at))
        count = log_p.size(-1) - at.size(-1)
        return value + each * (count * self.log_each - (log_p.sum(-1) - at.sum(-1)))

    def slope(self, log_p: Tensor) -> Slope:
        """The gradient of :meth:`divergence` by the logits of ``log_p``."""
        mass = self.q.sum(-1)
        if self.ids is None or self.log_each is None:
            return Slope(mass, self.q, self.ids)
        each = self.log_each.exp()
        if not self.ghost:
            count = log_p.size(-1) - self.ids.size(-1)
            return Slope(mass + count * each, self.q - each.unsqueeze(-1), self.ids, each)
        log_p = log_p.gather(-1, self.ids)  # [n, K]
        log_mass = log_p.logsumexp(-1)
        odds = torch.where(log_mass > _highest(log_p), 0, each / log_rest_of(log_p).exp())
        at = self.q - odds.unsqueeze(-1) * log_p.exp()
        return Slope(mass - odds * log_mass.exp(), at, self.ids)


@dataclass(frozen=True)
class Slope:
    """The gradient of a row's loss by its V logits: ``mass * p - elsewhere - at``, p the softmax.

    ``at`` is of all tokens, or of those in ``ids``, where it adds to ``elsewhere``.
    """

    mass: Tensor | None  # [n]; None is 0
    at: Tensor  # [n, V], or [n, K] with ids
    ids: Tensor | None = None  # [n, K]
    elsewhere: Tensor | None = None  # [n]

    def subtract_from(self, gradient: Tensor, weight: Tensor) -> None:
        """Take ``weight`` [n] times all but the softmax's part from ``gradient`` [n, V]."""
        weight = -weight.unsqueeze(-1)
        if self.elsewhere is not None:
            gradient.add_(weight * self.elsewhere.unsqueeze(-1))
        if self.ids is None:
            gradient.addcmul_(self.at, weight)
        else:
            gradient.scatter_add_(-1, self.ids, weight * self.at)


def log_rest_of(log_p_kept: Tensor) -> Tensor:
    """The log-mass outside of the kept tokens [n], from their ``log_p`` [n, K]."""
    mass = log_p_kept.logsumexp(-1).clamp(max=_highest(log_p_kept))
    return (-torch.expm1(mass)).log()


def _highest(log_p: Tensor) -> float:
    """The largest log-mass that leaves something."""
    return -torch.finfo(log_p.dtype).eps
