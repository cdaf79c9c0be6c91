"""The one type that every teacher returns, and what a method may ask of it.

A belief is exact for the entries that it keeps. What is cut away (top-k, top-1) is dropped: it is
neither spread over the other tokens nor are the kept entries renormalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from ..host.probabilities import likeliest, log_softmax
from ..ops import SoftTarget


@dataclass(frozen=True)
class Belief(SoftTarget):
    """Next-token probabilities at n positions: of all V tokens, or of the K tokens in ``ids``."""

    @property
    def target(self) -> SoftTarget:
        """What a student is drawn to."""
        return self

    def best(self) -> Tensor:
        """The likeliest token of each position [n]."""
        best = likeliest(self.log_q)
        return best if self.ids is None else self.ids.gather(-1, best.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class WholeBelief(Belief):
    """Probabilities of all V tokens, from which a method takes what it needs."""

    logits: Tensor | None = None  # [n, V], where they were asked for

    @classmethod
    def of(cls, log_q: Tensor, logits: Tensor | None = None) -> WholeBelief:
        """From log-probabilities [n, V]."""
        return cls(log_q.exp(), log_q, logits=logits)

    def at(self, temperature: float) -> WholeBelief:
        """At another temperature: ``q ** (1 / T)``, normalised."""
        return self if temperature == 1 else self.of(log_softmax(self.log_q / temperature))

    def top(self, k: int) -> Belief:
        """Only the k likeliest tokens of each position, likeliest first."""
        log_q, ids = self.log_q.topk(k, -1)
        return Belief(log_q.exp(), log_q, ids)

    def without_top(self, y: Tensor) -> Belief:
        """The likeliest token's mass moved to ``y`` [n]; unchanged where they are the same."""
        y, best = y.unsqueeze(-1), self.best().unsqueeze(-1)  # [n, 1]
        mass, log_mass = self.q.gather(-1, best), self.log_q.gather(-1, best)
        both = torch.logaddexp(self.log_q.gather(-1, y), log_mass).where(y != best, log_mass)
        return Belief(
            self.q.scatter(-1, best, 0).scatter_add(-1, y, mass),
            self.log_q.scatter(-1, y, both),
        )

    def entropy(self) -> Tensor:
        """Of each position's distribution, in nats [n]."""
        return -(self.q * self.log_q).sum(-1)

    def nll(self, y: Tensor) -> Tensor:
        """Negative log-probability of tokens ``y`` [n], in nats [n]."""
        return -self.log_q.gather(-1, y.unsqueeze(-1)).squeeze(-1)


class Targets(Protocol):
    """A teacher's beliefs about the N real tokens of a batch, computed when they are asked for."""

    def __len__(self) -> int:
        """N."""

    def rows(self, start: int, stop: int, logits: bool = False) -> WholeBelief:
        """The belief about real tokens ``start .. stop`` of the batch, at temperature 1.

        With ``logits`` it has the teacher's logits, too.
        """


class AllRows:
    """The belief about all N tokens of a batch, which is not made where slices will do.

    What is not known slice by slice is asked of the whole belief.
    """

    def __init__(self, targets: Targets, size: int, logits: bool = False):
        """From ``targets``, in slices of ``size`` tokens; with ``logits`` they have those, too."""
        self.targets, self.size, self.logits_too = targets, size, logits

    def rows(self, start: int, stop: int) -> Any:
        """The belief about tokens ``start .. stop``."""
        if (start, stop) == (0, len(self.targets)):
            return self.whole
        return self.targets.rows(start, stop, logits=self.logits_too)

    @cached_property
    def whole(self) -> Any:
        """The belief about all tokens."""
        return self.targets.rows(0, len(self.targets), logits=self.logits_too)

    def each(self, ask: Callable[[Any], Tensor]) -> Tensor:
        """What ``ask`` finds in a slice [n], of all tokens [N]."""
        N = len(self.targets)
        starts = range(0, N, self.size)
        return torch.cat([ask(self.rows(i, min(i + self.size, N))) for i in starts])

    def entropy(self) -> Tensor:
        """Of each position's distribution, in nats [N]."""
        return self.each(lambda q: q.entropy())

    def nll(self, y: Tensor) -> Tensor:
        """Negative log-probability of tokens ``y`` [N], in nats [N]."""
        parts = iter(torch.split(y, self.size))
        return self.each(lambda q: q.nll(next(parts)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)
