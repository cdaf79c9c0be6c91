"""The chunked loss against the same terms on all rows' log-probabilities."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from kd_plugin.ops import (
    Divergence,
    Equation,
    SmoothedNLL,
    SoftTarget,
    Terms,
    dense_loss,
    linear_loss,
    log_probability_rows,
)

from .common import KINDS, rows_of, soft_target

SIZES = [(1, 3, 2), (1, 13, 7), (7, 3, 1), (31, 29, 11), (64, 8, 16), (65, 17, 5)]  # N, V, D


class Problem:
    """Rows, a layer, and gold and taught terms with weights of which some are 0."""

    def __init__(
        self, N: int, V: int, D: int, kind: str, T: float, epsilon: float = 0.1,
        dtype: torch.dtype = torch.float64,
    ):  # fmt: skip
        generator = torch.Generator().manual_seed(N + V)
        torch.manual_seed(N * V)
        self.features = torch.randn(N, D, generator=generator, dtype=torch.float64).to(dtype)
        self.weight = torch.randn(V, D, generator=generator, dtype=torch.float64).to(dtype)
        exact = torch.promote_types(dtype, torch.float32)
        self.y = torch.randint(V, (N,), generator=generator)
        self.gold, self.taught = torch.rand(2, N, generator=generator, dtype=exact)
        self.gold[::3], self.taught[1::3] = 0, 0
        K = min(4, V - 1)
        self.target: SoftTarget = soft_target(kind, N, V, K, exact)
        self.T, self.epsilon = T, epsilon

    def terms(self, log_p: Tensor, i: int, j: int) -> Any:
        assert len(log_p) == j - i
        return [
            (self.gold[i:j], SmoothedNLL(self.y[i:j], self.epsilon)),
            (self.taught[i:j], Divergence(rows_of(self.target, i, j), self.T)),
        ]  # fmt: skip

    def autograd_terms(self, log_p: Tensor, i: int, j: int) -> Any:
        """The same, with slopes that autograd finds."""
        return [(weight, Equation(term.value)) for weight, term in self.terms(log_p, i, j)]


def step(
    features: Tensor, weight: Tensor, terms: Terms, rows: int | None, dense: bool = False
) -> Any:
    """Loss, values of the terms, and both gradients of three times the loss."""
    features, weight = features.clone().requires_grad_(), weight.clone().requires_grad_()
    if dense:
        log_p = (features @ weight.t()).log_softmax(-1)
        loss, values = dense_loss(log_p, terms)
    else:
        loss, values = linear_loss(features, weight, terms, rows)
    torch.autograd.backward(3 * loss.sum())
    return loss.sum().detach(), values, features.grad, weight.grad


@pytest.mark.parametrize(("kind", "T"), [*itertools.product(KINDS[:-1], (1.0, 2.5)), ("ghost", 1)])
@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "autograd"])
@pytest.mark.parametrize("size", SIZES)
def test_chunked_is_dense(size: tuple[int, int, int], by_hand: bool, kind: str, T: float) -> None:
    problem = Problem(*size, kind, T)
    expected = step(problem.features, problem.weight, problem.terms, None, dense=True)
    for rows in (None, 1, 5, size[0]):  # the last chunk is short, or not
        terms = problem.terms if by_hand else problem.autograd_terms
        ours = step(problem.features, problem.weight, terms, rows)
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0, 0.1, 0.7])
def test_smoothing(epsilon: float) -> None:
    problem = Problem(31, 29, 11, "uniform", 1, epsilon)
    ours = step(problem.features, problem.weight, problem.terms, 8)
    expected = step(problem.features, problem.weight, problem.terms, None, dense=True)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_gradcheck() -> None:
    problem = Problem(7, 5, 3, "ghost", 1)
    inputs = problem.features.requires_grad_(), problem.weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda h, W: linear_loss(h, W, problem.terms, 3)[0], inputs)


def test_rows_of_weight_0_change_nothing() -> None:
    problem = Problem(31, 29, 11, "whole", 2.5)
    problem.gold[5:] = problem.taught[5:] = 0
    _, _, by_features, by_weight = step(problem.features, problem.weight, problem.terms, 4)
    assert by_features[5:].eq(0).all()
    few = step(problem.features[:5], problem.weight, problem.terms, 4)
    torch.testing.assert_close(by_weight, few[3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("which", ["features", "weight"])
def test_only_one_gradient_is_wanted(which: str) -> None:
    problem = Problem(31, 29, 11, "entries", 1)
    expected = step(problem.features, problem.weight, problem.terms, 8)
    getattr(problem, which).requires_grad_()
    loss, _ = linear_loss(problem.features, problem.weight, problem.terms, 8)
    torch.autograd.backward(3 * loss)
    found = getattr(problem, which).grad
    torch.testing.assert_close(found, expected[2 if which == "features" else 3], rtol=0, atol=0)


def test_without_a_gradient_each_row_has_its_loss() -> None:
    problem = Problem(31, 29, 11, "uniform", 2.5)
    log_p = (problem.features @ problem.weight.t()).log_softmax(-1)
    expected, values = dense_loss(log_p, problem.terms)
    with torch.no_grad():
        ours, ours_values = linear_loss(
            problem.features.requires_grad_(), problem.weight, problem.terms, 8
        )
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours_values, values, rtol=1e-12, atol=1e-12)


def test_two_backward_passes_are_twice_one() -> None:
    problem = Problem(7, 13, 5, "whole", 1)
    problem.features.requires_grad_(), problem.weight.requires_grad_()
    loss, _ = linear_loss(problem.features, problem.weight, problem.terms, 3)
    torch.autograd.backward(loss, retain_graph=True)
    assert problem.weight.grad is not None
    once = problem.weight.grad.clone()
    torch.autograd.backward(loss)
    torch.testing.assert_close(problem.weight.grad, 2 * once)


def test_log_probabilities_chunk_by_chunk() -> None:
    problem = Problem(31, 29, 11, "whole", 1)
    rows = log_probability_rows(problem.features, problem.weight, 8)
    found = [(log_p.clone(), i, j) for log_p, i, j in rows]
    assert [(i, j) for _, i, j in found] == [(0, 8), (8, 16), (16, 24), (24, 31)]
    expected = (problem.features @ problem.weight.t()).log_softmax(-1)
    torch.testing.assert_close(torch.cat([log_p for log_p, *_ in found]), expected)


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_half_precision_against_float64(dtype: torch.dtype, autocast: bool) -> None:
    """Nearly equal distributions, where rounded logits would spoil the gradient."""
    problem = Problem(61, 211, 32, "whole", 1, dtype=dtype)
    problem.weight /= 4
    problem.gold[:] = 0
    exact = problem.features.double(), problem.weight.double()
    log_q = (exact[0] @ exact[1].t() + 0.01 * torch.randn(61, 211).double()).log_softmax(-1)
    problem.target = SoftTarget(log_q.exp().float(), log_q.float())
    expected = step(*exact, problem.terms, None, dense=True)
    weight = problem.weight.float() if autocast else problem.weight
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        ours = step(problem.features, weight, problem.terms, 8)
        naive = step(problem.features, weight, problem.terms, None, dense=True)
    assert ours[0].dtype == torch.float32
    assert ours[2].dtype == dtype
    for gradient, exactly, rounded in zip(ours[2:], expected[2:], naive[2:]):
        scale = exactly.norm()
        error = (gradient.double() - exactly).norm() / scale
        budget = (rounded.double() - exactly).norm() / scale
        assert error <= budget + torch.finfo(gradient.dtype).eps + 2e-4
        assert error < 5e-3
