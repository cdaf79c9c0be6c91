"""What a store kept of a teacher's belief: the K likeliest tokens, and a rule for the others.

With r the mass that is not kept, the V - K other tokens have, at temperature 1,

``renormalise``
    probability 0, and the kept ones are divided by 1 - r;
``uniform``
    r / (V - K) each, as label smoothing leaves them;
``ghost``
    r together, as one event, compared with the student's mass on them.

At another temperature a ghost is refused: the mass of many tokens does not tell their powers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..ops import SoftTarget
from .targets import Belief, WholeBelief

LEAST = 1e-30  # of r, so that its logarithm is finite


class Kept(NamedTuple):
    """A store's columns for n positions, in float32 at least; natural logarithms."""

    ids: Tensor  # [n, K], likeliest first
    log_q: Tensor  # [n, K]
    rest: Tensor  # [n], r
    entropy: Tensor  # [n], of the whole distribution
    gold: Tensor  # [n], the target token's log-probability

    @classmethod
    def of(cls, columns: Mapping[str, Tensor]) -> Kept:
        """From the columns of a record, each [n, entries]."""
        single = {"rest", "entropy", "gold"}
        return cls(**{k: v.squeeze(-1) if k in single else v for k, v in columns.items()})


class KeptBelief:
    """Answers what a :class:`WholeBelief` does, from the kept entries where they suffice.

    ``q`` and ``log_q`` [n, V] are made when they are asked for.
    """

    logits = None

    def __init__(self, kept: Kept, tail: str, vocabulary: int, temperature: float = 1.0):
        self.kept, self.tail, self.vocabulary = kept, tail, vocabulary
        self.temperature = temperature
        others = vocabulary - kept.ids.size(1)
        # how many events share r, and what each of them has
        self.events = {"renormalise": 0, "uniform": others, "ghost": min(others, 1)}[tail]
        each = kept.rest.clamp(min=LEAST).log().unsqueeze(-1) - math.log(self.events or 1)
        each = each / temperature if self.events else torch.full_like(each, -math.inf)
        log_q = kept.log_q / temperature
        sums = torch.cat([log_q, each + math.log(self.events or 1)], -1).logsumexp(-1, True)
        self.log_kept = log_q - sums  # [n, K]
        self.log_each = (each - sums).squeeze(-1)  # [n]

    def at(self, temperature: float) -> KeptBelief:
        """At another temperature: ``q ** (1 / T)``, normalised."""
        if temperature == 1:
            return self
        if self.tail == "ghost":
            raise InputError(
                f"--kd-temperature {temperature} needs the probabilities of single tokens, and the "
                "teacher store's --tail ghost has none outside of those that it kept; train at "
                "temperature 1, or write the store with --tail uniform"
            )
        return KeptBelief(self.kept, self.tail, self.vocabulary, self.temperature * temperature)

    @property
    def target(self) -> SoftTarget:
        """What a student is drawn to."""
        log_each = self.log_each if self.events else None
        return SoftTarget(
            self.log_kept.exp(), self.log_kept, self.kept.ids, log_each, self.tail == "ghost"
        )

    def divergence(self, log_p: Tensor) -> Tensor:
        """KL divergence of the belief under its rule to ``log_p`` [n, V], in nats [n]."""
        return self.target.divergence(log_p)

    def top(self, k: int) -> Belief:
        """The k likeliest tokens of each position, as probable as the rule makes them."""
        if k > self.kept.ids.size(1):
            raise InputError(
                f"the {k} likeliest tokens are asked for (--kd-target, --tie-top-k) and the "
                f"teacher store kept {self.kept.ids.size(1)}; write another with --top-k {k}"
            )
        log_q = self.log_kept[:, :k]
        return Belief(log_q.exp(), log_q, self.kept.ids[:, :k])

    def without_top(self, y: Tensor) -> Belief:
        """As :meth:`WholeBelief.without_top`."""
        return WholeBelief(self.q, self.log_q).without_top(y)

    def entropy(self) -> Tensor:
        """The teacher's at temperature 1, else that of the belief under its rule, in nats [n]."""
        if self.temperature == 1:
            return self.kept.entropy
        kept = (self.log_kept.exp() * self.log_kept).sum(-1)
        return -kept - (self.events * self.log_each.exp() * self.log_each if self.events else 0)

    def best(self) -> Tensor:
        """The likeliest token of each position [n]."""
        return self.kept.ids[:, 0]

    def nll(self, y: Tensor) -> Tensor:
        """Negative log-probability of the target tokens ``y`` [n], in nats [n]."""
        if self.temperature == 1:
            return -self.kept.gold
        return -self.log_q.gather(-1, y.unsqueeze(-1)).squeeze(-1)

    @property
    def q(self) -> Tensor:
        """[n, V]."""
        return self.log_q.exp()

    @cached_property
    def log_q(self) -> Tensor:
        """[n, V]; a number whose exponential is 0 where the rule gives nothing."""
        if self.tail == "ghost":
            raise InputError(
                "this method reads the teacher's probability of every token, and the teacher "
                "store's --tail ghost has none outside of those that it kept; write the store with "
                "--tail uniform, or with --features"
            )
        lowest = math.log(LEAST) * 4  # finite, as a belief's logarithms must be
        others = self.log_each.clamp(min=lowest).unsqueeze(-1).expand(-1, self.vocabulary)
        return others.scatter(-1, self.kept.ids, self.log_kept)
