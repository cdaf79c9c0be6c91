"""Teachers in memory: frozen, exact, and where the student is."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from kd_plugin.teachers.live import LiveTeacher

from ..support import TINY, Setup, build, distillation

ADAPTIVE = ("--adaptive-softmax-cutoff", "9,15", "--decoder-output-dim", "14")


def word_kd(data: Path, teacher: object, *flags: object) -> Setup:
    command = ["--criterion", "word_kd", "--teacher-path", teacher]
    return build(data, *TINY, *distillation(*command, *flags))


def dense_log_q(teacher: LiveTeacher, sample: dict[str, dict[str, object]]) -> torch.Tensor:
    """Mean probability of the members by their own forward over the padded batch [B, T, V]."""
    each = [model(**sample["net_input"])[0].softmax(-1) for model in teacher.models]
    return torch.stack(each).mean(0).log()


def test_beliefs_are_the_members_mean_probability_without_padding(
    data: Path, teacher: Path, second_teacher: Path
) -> None:
    setup = word_kd(data, f"{teacher}:{second_teacher}")
    sample = setup.batch()
    live, real = setup.criterion.teacher, sample["target"].ne(setup.task.target_dictionary.pad())
    live.follow(setup.model)
    targets = live.targets(sample["net_input"], real)
    assert len(targets) == real.sum()
    expected = dense_log_q(live, sample)[real]
    torch.testing.assert_close(targets.rows(0, len(targets)).log_q, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(targets.rows(3, 8).log_q, expected[3:8], rtol=1e-12, atol=0)


def test_a_student_with_an_adaptive_softmax(data: Path, teacher: Path) -> None:
    setup = word_kd(data, teacher, *ADAPTIVE, "--nll-weight", 0, "--kd-weight", 1)
    sample = setup.batch()
    real = sample["target"].ne(setup.task.target_dictionary.pad())
    loss, _, _, gradients = setup.step(sample)
    features = setup.model(**sample["net_input"])[0]
    log_p = setup.model.decoder.adaptive_softmax.get_log_prob(features, None)[real]
    log_q = dense_log_q(setup.criterion.teacher, sample)[real]
    expected = (log_q.exp() * (log_q - log_p)).sum()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    assert any("adaptive_softmax" in name for name in gradients)


def test_a_teacher_with_an_adaptive_softmax(data: Path, teacher: Path) -> None:
    adaptive = copy.deepcopy(word_kd(data, teacher, *ADAPTIVE).model)
    setup = word_kd(data, teacher)
    live = LiveTeacher([adaptive])
    sample = setup.batch()
    real = sample["target"].ne(setup.task.target_dictionary.pad())
    targets = live.targets(sample["net_input"], real)
    belief = targets.rows(0, len(targets))
    torch.testing.assert_close(belief.q.sum(-1), torch.ones_like(belief.q[:, 0]))


def test_the_teacher_is_frozen_and_nobodys_child(data: Path, teacher: Path) -> None:
    setup = word_kd(data, teacher)
    live = setup.criterion.teacher
    setup.criterion.train(), setup.model.train()
    before = copy.deepcopy(live.models[0].state_dict())
    sample = setup.batch()
    first, second = setup.step(sample)[2], setup.step(sample)[2]
    assert first["teacher_nll_loss"] == second["teacher_nll_loss"]  # no dropout: it has 0.1
    assert not live.models[0].training
    assert not any(p.requires_grad or p.grad is not None for p in live.models[0].parameters())
    torch.testing.assert_close(live.models[0].state_dict(), before, check_dtype=False)
    assert not list(setup.criterion.parameters())
    ours = {id(p) for p in live.models[0].parameters()}
    assert not ours & {id(p) for p in setup.model.parameters()}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_it_follows_the_student(data: Path, teacher: Path, dtype: torch.dtype) -> None:
    setup = word_kd(data, teacher)
    setup.model.to(dtype)
    setup.criterion(setup.model, setup.batch())
    assert {p.dtype for p in setup.criterion.teacher.models[0].parameters()} == {dtype}


def test_the_students_random_numbers_do_not_depend_on_the_teacher(
    data: Path, teacher: Path
) -> None:
    with_teacher = word_kd(data, teacher)
    after = torch.rand(3)
    without = build(data, *TINY, *distillation("--criterion", "seq_kd"))
    torch.testing.assert_close(after, torch.rand(3), rtol=0, atol=0)
    torch.testing.assert_close(
        with_teacher.model.state_dict(), without.model.state_dict(), rtol=0, atol=0
    )
