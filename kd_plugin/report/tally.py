"""Two models at the same tokens, as sums over groups of tokens.

Whatever is summed is additive, so that neither batches nor slices matter beyond rounding; sums are
float64. Of each token two numbers are kept, for its rank among all. G groups, M confidence bins, n
tokens of a slice, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..teachers import WholeBelief
from .calibration import bin_sums, expected_error

BIT = math.log(2)  # in nats


@dataclass(frozen=True)
class Quality:
    """One model against the reference; NLL in bits a token, all else but ``bins`` as shares."""

    accuracy: float
    confidence: float  # mean probability of the likeliest token
    ece: float
    nll: float
    perplexity: float | None  # 2 ** nll; None beyond floating point
    bins: list[list[float]]  # of each bin: tokens, right ones, summed confidence


@dataclass(frozen=True)
class Agreement:
    """Teacher and student on the tokens of a group."""

    tokens: int
    agreement: float  # share of tokens at which both prefer the same one
    kl: float  # mean KL(teacher || student), in bits a token
    teacher: Quality
    student: Quality


@dataclass(frozen=True)
class HarderHalf:
    """The half of all tokens that the student finds harder: those of its highest NLL."""

    least_nll: float  # of the student, in bits
    share_of_kl: float | None  # of the sum of KL over all tokens; None where that is 0


class Tally:
    """Sums of what :class:`Agreement` says, by group."""

    def __init__(self, groups: int, bins: int):
        self.sums = torch.zeros(groups, 5, dtype=torch.float64)
        self.bins = torch.zeros(2, groups, bins, 3, dtype=torch.float64)  # of teacher, of student
        self.tokens: list[Tensor] = []  # of each slice [n, 2]: the student's NLL, and KL

    def add(self, q: WholeBelief, p: WholeBelief, y: Tensor, group: Tensor) -> None:
        """Count n tokens.

        Args:
            q: the teacher's belief [n, V].
            p: the student's.
            y: the reference's tokens [n].
            group: the group of each, 0 to G - 1 [n].
        """
        one, agreed = torch.ones_like(y), q.best().eq(p.best())
        columns = (one, agreed, q.divergence(p.log_q), q.nll(y), p.nll(y))
        self.tokens.append(torch.stack([columns[4], columns[2]], -1).float().cpu())
        group = group.cpu()
        self.sums.index_add_(0, group, torch.stack([c.double() for c in columns], -1).cpu())
        for sums, belief in zip(self.bins, (q, p)):
            best = belief.best()
            confidence = belief.nll(best).neg().double().exp().clamp(max=1).cpu()
            sums += bin_sums(confidence, best.eq(y).cpu(), group, sums.shape[:2])

    def is_finite(self) -> bool:
        return bool(self.sums.isfinite().all() and self.bins.isfinite().all())

    def total(self) -> Agreement:
        """All groups together; at least one token must have been counted."""
        return _agreement(self.sums.sum(0), self.bins.sum(1))

    def harder_half(self) -> HarderHalf:
        """Where the student's NLL is highest; at least one token must have been counted."""
        nll, kl = torch.cat(self.tokens).double().unbind(-1)
        nll, order = nll.sort(descending=True, stable=True)
        half = (len(nll) + 1) // 2
        whole = float(kl.sum())
        share = float(kl[order[:half]].sum()) / whole if whole else None
        return HarderHalf(float(nll[half - 1]) / BIT, share)

    def groups(self) -> list[Agreement | None]:
        """Each group by itself; None for one without a token."""
        groups = zip(self.sums, self.bins.unbind(1))
        return [_agreement(sums, bins) if sums[0] else None for sums, bins in groups]


def _agreement(sums: Tensor, bins: Tensor) -> Agreement:
    tokens, agreed, kl, *nll = sums.tolist()
    teacher, student = (_quality(of, x / tokens / BIT) for of, x in zip(bins, nll))
    return Agreement(int(tokens), agreed / tokens, kl / tokens / BIT, teacher, student)


def _quality(bins: Tensor, nll: float) -> Quality:
    tokens, right, confidence = bins.sum(0).tolist()
    return Quality(
        accuracy=right / tokens,
        confidence=confidence / tokens,
        ece=expected_error(bins),
        nll=nll,
        perplexity=2.0**nll if nll < 1024 else None,
        bins=bins.tolist(),
    )
