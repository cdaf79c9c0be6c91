"""What a store kept of a belief, against the definitions as loops in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kd_plugin.errors import InputError
from kd_plugin.files.names import TAILS
from kd_plugin.teachers import WholeBelief
from kd_plugin.teachers.kept import Kept, KeptBelief
from kd_plugin.teachers.recording import largest, summary

V, K, N = 13, 3, 7


@pytest.fixture
def whole() -> Tensor:
    """Log-probabilities [N, V]."""
    torch.manual_seed(3)
    return (2 * torch.randn(N, V, dtype=torch.float64)).log_softmax(-1)


@pytest.fixture
def y() -> Tensor:
    return torch.tensor([0, 12, 3, 3, 7, 1, 5])


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def kept_of(whole: Tensor, y: Tensor, tail: str, k: int = K) -> KeptBelief:
    columns = summary(whole + 5, y, k)  # a constant of each row does not matter
    return KeptBelief(Kept.of(columns), tail, V)


def ruled(row: list[float], tail: str, T: float) -> tuple[list[float], list[int]]:
    """The distribution that a rule makes of one position's probabilities, and what it kept."""
    order = sorted(range(V), key=lambda v: -row[v])
    kept, rest = order[:K], 1 - sum(row[v] for v in order[:K])
    q = [
        row[v] if v in kept else 0.0 if tail == "renormalise" else rest / (V - K) for v in range(V)
    ]
    powers = [p ** (1 / T) for p in q]
    return [p / sum(powers) for p in powers], kept


@pytest.mark.parametrize("T", [1.0, 2.5])
@pytest.mark.parametrize("tail", ["renormalise", "uniform"])
def test_rules(whole: Tensor, y: Tensor, tail: str, T: float) -> None:
    belief = kept_of(whole, y, tail).at(T)
    torch.manual_seed(4)
    log_p = torch.randn(N, V, dtype=torch.float64).log_softmax(-1)
    for n in range(N):
        q, _ = ruled(whole[n].exp().tolist(), tail, T)
        expected = sum(q[v] * (math.log(q[v]) - log_p[n, v].item()) for v in range(V) if q[v])
        assert belief.divergence(log_p)[n].item() == pytest.approx(expected, abs=1e-12)
        assert belief.q[n].tolist() == pytest.approx(q, abs=1e-12)
        if T != 1:
            entropy = -sum(p * math.log(p) for p in q if p)
            assert belief.entropy()[n].item() == pytest.approx(entropy, abs=1e-12)


@pytest.mark.parametrize("size", [13, 2048, 2077])
def test_largest_is_topk(size: int) -> None:
    torch.manual_seed(1)
    scores = torch.randn(7, size)
    scores[:, 3:40] += 9  # many of the largest in one group
    values, places = largest(scores, 8)
    torch.testing.assert_close(values, scores.topk(8, -1).values, rtol=0, atol=0)
    torch.testing.assert_close(scores.gather(1, places), values, rtol=0, atol=0)


def test_a_ghost_is_one_event(whole: Tensor, y: Tensor) -> None:
    belief = kept_of(whole, y, "ghost")
    log_p = torch.randn(N, V, dtype=torch.float64).log_softmax(-1)
    for n in range(N):
        q, p = whole[n].exp().tolist(), log_p[n].exp().tolist()
        kept = sorted(range(V), key=lambda v: -q[v])[:K]
        rest_q, rest_p = 1 - sum(q[v] for v in kept), 1 - sum(p[v] for v in kept)
        expected = sum(q[v] * math.log(q[v] / p[v]) for v in kept)
        expected += rest_q * math.log(rest_q / rest_p)
        assert belief.divergence(log_p)[n].item() == pytest.approx(expected, abs=1e-12)


def test_columns_are_of_the_whole_distribution(whole: Tensor, y: Tensor) -> None:
    belief, exact = kept_of(whole, y, "uniform"), WholeBelief.of(whole)
    assert_near(belief.entropy(), exact.entropy())
    assert_near(belief.nll(y), exact.nll(y))
    torch.testing.assert_close(belief.best(), exact.best())
    ours, theirs = belief.top(2), exact.top(2)
    assert_near(ours.q, theirs.q)
    torch.testing.assert_close(ours.ids, theirs.ids)


@pytest.mark.parametrize("T", [1.0, 1 + 1e-9, 2.5])
@pytest.mark.parametrize("tail", ["renormalise", "uniform"])
def test_the_likeliest_have_what_the_rule_gives_them(
    whole: Tensor, y: Tensor, tail: str, T: float
) -> None:
    top = kept_of(whole, y, tail).at(T).top(2)
    assert top.ids is not None
    for n in range(N):
        q, kept = ruled(whole[n].exp().tolist(), tail, T)
        assert top.ids[n].tolist() == kept[:2]
        assert top.q[n].tolist() == pytest.approx([q[v] for v in kept[:2]], abs=1e-12)
        assert_near(top.log_q[n].exp(), top.q[n])


def test_all_that_was_kept_is_the_whole_renormalised_belief(whole: Tensor, y: Tensor) -> None:
    belief = kept_of(whole, y, "renormalise")
    log_p = torch.randn(N, V, dtype=torch.float64).log_softmax(-1)
    assert_near(belief.top(K).divergence(log_p), belief.divergence(log_p))


@pytest.mark.parametrize("tail", TAILS)
def test_everything_kept_is_the_whole_belief(whole: Tensor, y: Tensor, tail: str) -> None:
    belief, exact = kept_of(whole, y, tail, k=V), WholeBelief.of(whole)
    log_p = torch.randn(N, V, dtype=torch.float64).log_softmax(-1)
    torch.testing.assert_close(
        belief.divergence(log_p), exact.divergence(log_p), rtol=0, atol=1e-12
    )
    ours, theirs = belief.without_top(y) if tail != "ghost" else None, exact.without_top(y)
    if ours is not None:
        torch.testing.assert_close(
            ours.divergence(log_p), theirs.divergence(log_p), rtol=0, atol=1e-12
        )


def test_a_certain_teacher_has_finite_gradients(y: Tensor) -> None:
    """Probability 1 on one token, in float32: nothing is left for the others."""
    certain = torch.full((N, V), -200.0)
    certain[:, 2] = 0.0
    for tail in TAILS:
        z = torch.zeros(N, V, requires_grad=True)
        loss = kept_of(certain, y, tail).divergence(z.log_softmax(-1))
        torch.autograd.backward(loss.sum())
        assert loss.isfinite().all()
        assert z.grad is not None
        assert z.grad.isfinite().all()
        torch.testing.assert_close(loss, torch.full((N,), math.log(V)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("ask", ["temperature", "q", "top"])
def test_what_was_not_kept_is_refused(whole: Tensor, y: Tensor, ask: str) -> None:
    belief = kept_of(whole, y, "ghost")
    rules: dict[str, tuple[Callable[[], object], str]] = {
        "temperature": (lambda: belief.at(2.0), "--kd-temperature 2.0 needs .* --tail uniform"),
        "q": (lambda: belief.q, "--tail ghost has none .* --features"),
        "top": (lambda: belief.top(4), r"store kept 3; write another with --top-k 4"),
    }
    call, message = rules[ask]
    with pytest.raises(InputError, match=message):
        call()
