"""Identities and rules of sequence-level distillation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.errors import InputError

from ..support import TINY, Setup, build, distillation


def seq_kd(data: Path, *flags: object) -> Setup:
    return build(
        data, *TINY, *distillation("--criterion", "seq_kd", "--label-smoothing", 0.1, *flags)
    )


def assert_same(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-12, atol=0)
    assert ours[1] == theirs[1]
    for name, gradient in theirs[3].items():
        torch.testing.assert_close(ours[3][name], gradient, rtol=1e-9, atol=1e-12)


def test_two_folders_are_the_distilled_folder_alone(data: Path, distilled: Path) -> None:
    both, alone = seq_kd(data, "--distilled-data", distilled), seq_kd(distilled)
    assert_same(both.step(both.batch()), alone.step(alone.batch()))


def test_on_a_distilled_folder_it_is_stock_cross_entropy(distilled: Path) -> None:
    ours = build(
        distilled,
        *TINY,
        *distillation("--criterion", "seq_kd", "--label-smoothing", 0.1),
        double=False,
    )
    flags = ["--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1]
    stock = build(distilled, *TINY, *flags, double=False)
    sample = ours.batch()
    (our_loss, our_size, _, _), (loss, size, _, _) = ours.step(sample), stock.step(sample)
    torch.testing.assert_close(our_loss, loss, rtol=2e-6, atol=0)
    assert our_size == size


def test_the_reference_is_not_read_where_it_has_no_weight(data: Path, distilled: Path) -> None:
    setup = seq_kd(data, "--distilled-data", distilled)
    calls: list[Any] = []
    setup.model.register_forward_hook(lambda *_: calls.append(None))
    setup.step(setup.batch())
    assert len(calls) == 1
    setup.model.eval()
    setup.criterion(setup.model, setup.batch("valid"))
    assert len(calls) == 3  # an evaluation reports the reference's perplexity too


def test_an_evaluation_reports_the_references_perplexity(data: Path, distilled: Path) -> None:
    setup, plain = seq_kd(data, "--distilled-data", distilled), seq_kd(data)
    for each in (setup, plain):
        each.model.eval()
    ours = setup.step(setup.batch("valid"))[2]
    theirs = plain.step(plain.batch("valid"))[2]
    assert ours["nll_loss"].item() == pytest.approx(theirs["nll_loss"].item(), rel=1e-12)
    assert ours["loss"] != theirs["loss"]


def test_a_teacher_is_consulted_in_evaluation_only(data: Path, teacher: Path) -> None:
    setup = seq_kd(data, "--teacher-path", teacher, "--distilled-data", data)
    assert "teacher" not in setup.criterion.signature  # it does not change the student
    assert "agreement" not in setup.step(setup.batch())[2]
    setup.model.eval()
    assert "agreement" in setup.step(setup.batch("valid"))[2]


def test_two_weights_need_two_texts(data: Path) -> None:
    with pytest.raises(InputError, match=r"--nll-weight 0.5 --kd-weight 0.5 .* --distilled-data"):
        seq_kd(data, "--nll-weight", 0.5, "--kd-weight", 0.5)


def test_text_that_no_command_wrote_may_be_the_references(
    data: Path, distilled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = "if they are the references, nothing is distilled"
    made = shutil.copytree(data, tmp_path / "made")
    (made / "corpus.json").write_text("{}")
    seq_kd(made)
    seq_kd(data, "--distilled-data", distilled)
    assert words not in caplog.text
    seq_kd(data)
    assert caplog.text.count(words) == 1
    (made / "corpus.json").rename(made / "fold.json")  # a part of the references, which fold cut
    seq_kd(made)
    assert caplog.text.count(words) == 2
