"""Loss and gradient of every method against the papers' equations, written as loops in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils

from .. import oracle
from ..support import TINY, Setup, build, distillation

Equation = Callable[[list[float], list[list[float]], int], oracle.Term]


def logits(model: Any, sample: Any, text: Any) -> torch.Tensor:
    """What a model says of a text [B, T, V], by the host's own forward."""
    net_input = {**sample["net_input"], "prev_output_tokens": text["prev_output_tokens"]}
    output: torch.Tensor = model(**net_input)[0]
    return output


def reference(sample: Any) -> Any:
    return {"target": sample["target"], **sample["net_input"]}


def members(paths: str) -> list[Any]:
    """Teachers as the host loads them, in float64."""
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(paths.split(":"))
    return [model.double().eval() for model in models]


def expect(
    setup: Setup, sample: Any, teachers: list[Any], parts: Sequence[tuple[Any, Equation]]
) -> tuple[float, dict[str, torch.Tensor]]:
    """Sum an equation over the real tokens of texts; carry its slope through a copied model."""
    student = copy.deepcopy(setup.model)
    pad, value = setup.task.target_dictionary.pad(), 0.0
    student.zero_grad()
    for text, equation in parts:
        z = logits(student, sample, text)
        others = [logits(teacher, sample, text).tolist() for teacher in teachers]
        slope = torch.zeros_like(z)
        for b, row in enumerate(text["target"].tolist()):
            for t, gold in enumerate(row):
                if gold != pad:
                    loss, by_logit = equation(z[b, t].tolist(), [o[b][t] for o in others], gold)
                    value += loss
                    slope[b, t] = torch.tensor(by_logit, dtype=slope.dtype)
        torch.autograd.backward(z, slope)
    gradients = {n: p.grad for n, p in student.named_parameters() if p.grad is not None}
    return value, gradients


def assert_equal(setup: Setup, sample: Any, value: float, gradients: dict[str, Any]) -> None:
    loss, _, _, ours = setup.step(sample)
    assert loss.item() == pytest.approx(value, rel=1e-11)
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("ensemble", [False, True], ids=["one", "ensemble"])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(("target", "k"), [("full", 0), ("top1", 0), ("no-top1", 0), ("top-k", 3)])
def test_word_kd(
    data: Path,
    teacher: Path,
    second_teacher: Path,
    target: str,
    k: int,
    temperature: float,
    ensemble: bool,
) -> None:
    paths = f"{teacher}:{second_teacher}" if ensemble else str(teacher)
    flags: list[Any] = ["--criterion", "word_kd", "--teacher-path", paths, "--kd-target", target]
    flags += ["--kd-target-k", k] if k else []
    flags += ["--nll-weight", 0.3, "--kd-weight", 0.9, "--label-smoothing", 0.15]
    setup = build(data, *TINY, *distillation(*flags, "--kd-temperature", temperature))
    sample = setup.batch()

    def equation(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        kd = oracle.word_kd(z, others, gold, temperature, target, k)
        return oracle.total([(0.3, oracle.smoothed_nll(z, gold, 0.15)), (0.9, kd)])

    assert_equal(
        setup, sample, *expect(setup, sample, members(paths), [(reference(sample), equation)])
    )


def test_word_kd_reads_the_distilled_prefix(data: Path, distilled: Path, teacher: Path) -> None:
    flags = ["--criterion", "word_kd", "--teacher-path", teacher, "--distilled-data", distilled]
    setup = build(data, *TINY, *distillation(*flags, "--label-smoothing", 0.1))
    sample = setup.batch()

    def equation(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        kd = oracle.word_kd(z, others, gold)
        return oracle.total([(0.5, oracle.smoothed_nll(z, gold, 0.1)), (0.5, kd)])

    parts = [(sample["distilled"], equation)]
    assert_equal(setup, sample, *expect(setup, sample, members(str(teacher)), parts))


def test_seq_kd_with_both_targets(data: Path, distilled: Path) -> None:
    flags = ["--criterion", "seq_kd", "--nll-weight", 0.25, "--kd-weight", 0.75]
    flags += ["--distilled-data", distilled, "--label-smoothing", 0.1]
    setup = build(data, *TINY, *distillation(*flags))
    sample = setup.batch()

    def weighted(weight: float) -> Equation:
        return lambda z, _, gold: oracle.total([(weight, oracle.smoothed_nll(z, gold, 0.1))])

    parts = [(reference(sample), weighted(0.25)), (sample["distilled"], weighted(0.75))]
    assert_equal(setup, sample, *expect(setup, sample, [], parts))
    _, sample_size, _, _ = setup.step(sample)
    assert sample_size == 0.25 * sample["ntokens"] + 0.75 * sample["distilled"]["ntokens"]


def test_word_kd_by_hand() -> None:
    """Two words, teacher (3/4, 1/4), student (1/2, 1/2): KL = 3/4 log 3/2 + 1/4 log 1/2."""
    import math

    value, slope = oracle.word_kd([0.0, 0.0], [[math.log(3), 0.0]], gold=0)
    assert value == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-15)
    assert slope == pytest.approx([-0.25, 0.25], rel=1e-15)
