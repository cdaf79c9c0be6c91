"""Identities and rules of word-level distillation."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.errors import InputError
from kd_plugin.teachers import WholeBelief
from kd_plugin.teachers.live import LiveTeacher

from ..support import TINY, Setup, build, distillation


def word_kd(data: Path, teacher: object, *flags: object) -> Setup:
    command = ["--criterion", "word_kd", "--teacher-path", teacher, "--nll-weight", 0]
    return build(data, *TINY, *distillation(*command, "--kd-weight", 1, *flags))


def assert_same(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-12, atol=1e-12)
    for name, gradient in theirs[3].items():
        torch.testing.assert_close(ours[3][name], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temperature", [1, 3])
def test_a_student_equal_to_its_teacher_learns_nothing(
    data: Path, teacher: Path, temperature: int
) -> None:
    setup = word_kd(data, teacher, "--kd-temperature", temperature)
    setup.criterion.teacher = LiveTeacher([copy.deepcopy(setup.model)])
    loss, _, log, gradients = setup.step(setup.batch())
    assert loss.abs() < 1e-12
    assert max(gradient.abs().max() for gradient in gradients.values()) < 1e-12
    assert log["agreement"] == log["kd_ntokens"]
    assert log["teacher_nll_loss"].item() == pytest.approx(log["nll_loss"].item(), rel=1e-12)


def test_keeping_the_whole_vocabulary_is_keeping_all(data: Path, teacher: Path) -> None:
    full = word_kd(data, teacher)
    size = len(full.task.target_dictionary)
    top_v = word_kd(data, teacher, "--kd-target", "top-k", "--kd-target-k", size)
    sample = full.batch()
    assert_same(top_v.step(sample), full.step(sample))


def test_top_1_is_top_k_with_k_1(data: Path, teacher: Path) -> None:
    top1 = word_kd(data, teacher, "--kd-target", "top1")
    top_k = word_kd(data, teacher, "--kd-target", "top-k", "--kd-target-k", 1)
    sample = top1.batch()
    assert_same(top1.step(sample), top_k.step(sample))


def test_an_ensemble_of_one_model_is_that_model(data: Path, teacher: Path) -> None:
    one, twice = word_kd(data, teacher), word_kd(data, f"{teacher}:{teacher}")
    sample = one.batch()
    assert_same(twice.step(sample), one.step(sample))


def test_without_top_1_nothing_changes_where_it_is_the_gold_token() -> None:
    torch.manual_seed(0)
    belief = WholeBelief.of(torch.randn(13, 7, dtype=torch.float64).log_softmax(-1))
    log_p = torch.randn(13, 7, dtype=torch.float64).log_softmax(-1)
    unchanged = belief.without_top(belief.best())
    torch.testing.assert_close(unchanged.q, belief.q, rtol=0, atol=0)
    torch.testing.assert_close(unchanged.divergence(log_p), belief.divergence(log_p))
    others = (belief.best() + 1) % 7
    moved = belief.without_top(others)
    torch.testing.assert_close(moved.q.sum(-1), torch.ones(13, dtype=torch.float64))
    assert (moved.q.gather(-1, belief.best().unsqueeze(-1)) == 0).all()
    assert torch.isfinite(moved.divergence(log_p)).all()


def test_a_temperature_multiplies_the_value_by_its_square(data: Path, teacher: Path) -> None:
    """As T grows, T^2 KL tends to half the mean squared difference of centred logits."""
    setup = word_kd(data, teacher, "--kd-temperature", 100)
    sample = setup.batch()
    real = sample["target"].ne(setup.task.target_dictionary.pad())
    loss = setup.step(sample)[0]
    students = setup.model(**sample["net_input"])[0][real]
    teachers = setup.criterion.teacher.models[0](**sample["net_input"])[0][real]
    difference = (students - students.mean(-1, True)) - (teachers - teachers.mean(-1, True))
    torch.testing.assert_close(loss, (difference**2).mean(-1).sum().detach() / 2, rtol=1e-2, atol=0)


def test_a_term_of_weight_0_costs_no_teacher(
    data: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the teacher ran")

    setup = word_kd(data, teacher, "--nll-weight", 1, "--kd-weight", 0)
    monkeypatch.setattr(LiveTeacher, "targets", refuse)
    loss, _, log, _ = setup.step(setup.batch())
    assert loss > 0
    assert "kd_loss" not in log


def test_a_wrong_shape_names_the_method(data: Path, teacher: Path) -> None:
    setup = word_kd(data, teacher)
    setup.criterion.token_loss = lambda log_p, q, y: log_p
    with pytest.raises(
        ValueError, match=r"WordKD.token_loss returned .* one number for each token"
    ):
        setup.step(setup.batch())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--kd-temperature", 0], "--kd-temperature 0.0 is out of range; give 0.01 to 100"),
        (["--kd-target", "top-k"], "--kd-target-k is not given; with --kd-target top-k give 1 to"),
        (
            ["--kd-target", "top-k", "--kd-target-k", 999],
            "--kd-target-k 999 is out .* 1 to 24, the",
        ),
        (["--kd-target-k", 4], "--kd-target-k 4 has no effect with --kd-target full"),
    ],
)
def test_bad_values_are_refused(data: Path, teacher: Path, flags: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        word_kd(data, teacher, *flags)


def test_an_unknown_target_dies_at_parse_time(
    data: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        word_kd(data, teacher, "--kd-target", "most")
    assert "argument --kd-target: invalid choice: 'most'" in capsys.readouterr().err


def test_a_teacher_is_required(data: Path) -> None:
    with pytest.raises(InputError, match=r"word_kd needs a teacher; give --teacher-path"):
        build(data, *TINY, *distillation("--criterion", "word_kd"))


def test_the_signature_names_what_changes_a_result(data: Path, teacher: Path) -> None:
    setup = word_kd(data, teacher, "--label-smoothing", 0.1, "--kd-temperature", 2)
    parts = setup.criterion.signature.split("|")
    assert parts[:5] == ["word_kd", "nll:0", "kd:1", "T:2", "target:full"]
    assert parts[5].startswith("teacher:live.")
    assert parts[6] == "ls:0.1"
    assert setup.task.state_dict()["signature"] == setup.criterion.signature
