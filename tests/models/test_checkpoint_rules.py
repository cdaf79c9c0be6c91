"""One rule chooses the checkpoint of every system of a table."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from kd_plugin.commands import cli

from .. import support
from ..support import TINY, distillation, fairseq_train


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that keeps checkpoints of updates 2, 4 and 6, and the best by BLEU."""
    folder = tmp_path_factory.mktemp("run")
    flags = distillation(
        "--criterion", "seq_kd", "--max-update", 6,
        "--save-interval-updates", 2, "--keep-interval-updates", 3, "--eval-bleu",
        "--best-checkpoint-metric", "bleu", "--maximize-best-checkpoint-metric",
    )  # fmt: skip
    fairseq_train(data, folder, *TINY, *flags)
    return folder


def choose(folder: Path, rule: str, capsys: pytest.CaptureFixture[str]) -> str:
    cli.main(["checkpoint", str(folder), "--rule", rule])
    return capsys.readouterr().out.strip()


def test_each_rule(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(run, "last", capsys) == str(run / "checkpoint_last.pt")
    assert choose(run, "best-bleu", capsys) == str(run / "checkpoint_best.pt")
    average = choose(run, "average:2", capsys)
    each = [support.load(run / f"checkpoint_1_{update}.pt")["model"] for update in (4, 6)]
    for name, weight in support.load(Path(average))["model"].items():
        mean = (each[0][name].double() + each[1][name].double()) / 2
        torch.testing.assert_close(weight.double(), mean, rtol=1e-6, atol=1e-7)


def test_an_average_is_made_again_only_when_training_went_on(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    average = Path(choose(run, "average:3", capsys))
    made = average.stat().st_mtime_ns
    choose(run, "average:3", capsys)
    assert average.stat().st_mtime_ns == made
    os.utime(average, (1, 1))  # older than the checkpoints
    choose(run, "average:3", capsys)
    assert average.stat().st_mtime > 1


def test_epoch_checkpoints_are_ordered_by_number(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for epoch, update in ((2, 2), (9, 4), (10, 6)):
        shutil.copy(run / f"checkpoint_1_{update}.pt", tmp_path / f"checkpoint{epoch}.pt")
    for odd in ("checkpoint_best_old.pt", "checkpoint3.old.pt", "checkpoint_a_b_c.pt"):
        (tmp_path / odd).touch()  # somebody's copies
    average = choose(tmp_path, "average:1", capsys)
    ours, last = support.load(Path(average))["model"], support.load(run / "checkpoint_1_6.pt")
    torch.testing.assert_close(ours, last["model"], rtol=0, atol=0)


def test_the_end_of_training_counts_where_fairseq_keeps_no_other(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is the end of an epoch, too."""
    for name in ("checkpoint_1_2.pt", "checkpoint_1_4.pt", "checkpoint_last.pt"):
        shutil.copy(run / name, tmp_path / name)
    end = support.load(run / "checkpoint_1_6.pt")["model"]
    ours = support.load(Path(choose(tmp_path, "average:1", capsys)))["model"]
    torch.testing.assert_close(ours, end, rtol=0, atol=0)
    ours = support.load(Path(choose(tmp_path, "average:2", capsys)))["model"]
    four = support.load(run / "checkpoint_1_4.pt")["model"]
    mean = {name: ((four[name].double() + end[name].double()) / 2).float() for name in end}
    torch.testing.assert_close(ours, mean, rtol=1e-6, atol=1e-7)


def test_a_rule_that_the_run_cannot_follow(
    run: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(folder: Path, rule: str, words: str) -> None:
        with pytest.raises(SystemExit) as error:
            choose(folder, rule, capsys)
        assert words in str(error.value) + capsys.readouterr().err

    refused(run, "average:4", "keeps 3 checkpoint(s) of different updates")
    refused(run, "average:0", "is no rule; give last, average:K with K checkpoints, or best-bleu")
    refused(run, "best-loss", "is no rule")
    refused(tmp_path, "last", "checkpoint_last.pt; name the --save-dir of a training")
    shutil.copy(teacher, tmp_path / "checkpoint_best.pt")
    refused(tmp_path, "best-bleu", "is the best by loss; train with --eval-bleu")
