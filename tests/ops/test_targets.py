"""Divergences and their slopes, against loops over the words in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kd_plugin.ops import Divergence, Equation, SmoothedNLL, SoftTarget, Term
from kd_plugin.ops.targets import Slope

from .common import KINDS, soft_target

N, K = 5, 3


def by_words(target: SoftTarget, log_p: list[float], row: int) -> float:
    """Sum q (log q - log p) over the events of one row."""
    q, V = target.q[row].tolist(), len(log_p)
    ids = range(V) if target.ids is None else target.ids[row].tolist()
    value: float = sum(x * (y - log_p[v]) for x, y, v in zip(q, target.log_q[row].tolist(), ids))
    if target.log_each is not None:
        log_each = target.log_each[row].item()
        others = [log_p[v] for v in range(V) if v not in ids]
        if target.ghost:
            others = [math.log(sum(math.exp(x) for x in others))]
        value += sum(math.exp(log_each) * (log_each - x) for x in others)
    return value


@pytest.mark.parametrize("V", [7, 13])
@pytest.mark.parametrize("kind", KINDS)
def test_divergence_word_by_word(kind: str, V: int) -> None:
    torch.manual_seed(1)
    target = soft_target(kind, N, V, K, torch.float64)
    log_p = torch.randn(N, V, dtype=torch.float64).log_softmax(-1)
    expected = [by_words(target, log_p[n].tolist(), n) for n in range(N)]
    assert target.divergence(log_p).tolist() == pytest.approx(expected, abs=1e-12)


def gradient(slope: Slope, log_p: Tensor) -> Tensor:
    """By the logits of ``log_p``, from a slope."""
    mass = slope.mass if slope.mass is not None else log_p.new_zeros(len(log_p))
    found = log_p.exp() * mass.unsqueeze(-1)
    slope.subtract_from(found, log_p.new_ones(len(log_p)))
    return found


def terms(V: int) -> dict[str, Term]:
    y = torch.tensor([0, V - 1, 1, 1, 2])
    found: dict[str, Term] = {
        "gold": SmoothedNLL(y),
        "smoothed": SmoothedNLL(y, 0.1),
        "equation": Equation(lambda log_p: (log_p.exp() * log_p).sum(-1)),
        "equation of one entry": Equation(lambda log_p: log_p[:, 1] ** 2),
        "equation without slope": Equation(lambda log_p: log_p.new_ones(len(log_p))),
        "equation of a sum": Equation(lambda log_p: log_p.sum(-1)),
    }
    for kind in KINDS:
        target = soft_target(kind, N, V, min(K, V), torch.float64)
        found[kind] = Divergence(target)
        if kind != "ghost":
            found[f"{kind} at T"] = Divergence(target, 2.5)
    return found


@pytest.mark.parametrize("V", [3, 13])
@pytest.mark.parametrize("name", terms(13))
def test_slopes_are_what_autograd_finds(name: str, V: int) -> None:
    torch.manual_seed(2)
    term = terms(V)[name]
    z = torch.randn(N, V, dtype=torch.float64, requires_grad=True)
    value = term.value(z.log_softmax(-1))
    loss = value.sum() + 0 * z.sum()
    (expected,) = torch.autograd.grad(loss, z)
    log_p = z.detach().log_softmax(-1)
    ours, slope = term.value_and_slope(log_p)
    torch.testing.assert_close(ours, value.detach(), rtol=0, atol=1e-14)
    torch.testing.assert_close(gradient(slope, log_p), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_sure_of_what_is_kept(kind: str) -> None:
    """The kept tokens' mass rounds to 1; slopes stay finite, and autograd's."""
    torch.manual_seed(3)
    target = soft_target(kind, N, 7, K, torch.float32)
    z = torch.randn(N, 7)
    if target.ids is not None:
        z.scatter_add_(-1, target.ids, torch.full((N, K), 60.0))
    z.requires_grad_()
    term = Divergence(target)
    (expected,) = torch.autograd.grad(term.value(z.log_softmax(-1)).sum(), z)
    log_p = z.detach().log_softmax(-1)
    ours, slope = term.value_and_slope(log_p)
    assert ours.isfinite().all()
    torch.testing.assert_close(gradient(slope, log_p), expected, rtol=0, atol=1e-6)
