"""Averaged and exported checkpoints are what fairseq reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kd_plugin.commands import cli

from .. import support
from ..support import TINY, distillation, fairseq_train


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three checkpoints of one student."""
    folder = tmp_path_factory.mktemp("run")
    flags = distillation("--criterion", "seq_kd", "--save-interval-updates", 2, "--max-update", 6)
    fairseq_train(data, folder, *TINY, *flags)
    return [folder / f"checkpoint_1_{updates}.pt" for updates in (2, 4, 6)]


def test_the_average_is_the_mean(run: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "average.pt"
    cli.main(["average", *map(str, run), "--output", str(output)])
    ours, each = support.load(output), [support.load(path)["model"] for path in run]
    for name, weight in ours["model"].items():
        mean = sum(weights[name].double() for weights in each) / 3
        torch.testing.assert_close(weight.double(), mean, rtol=1e-6, atol=1e-7)
        assert weight.dtype == each[0][name].dtype
    assert ours["cfg"] == support.load(run[-1])["cfg"]
    assert "last_optimizer_state" not in ours


def test_the_average_of_one_is_that_one(run: list[Path], tmp_path: Path) -> None:
    cli.main(["average", str(run[0]), "--output", str(tmp_path / "one.pt")])
    ours, theirs = support.load(tmp_path / "one.pt")["model"], support.load(run[0])["model"]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_other_weights_are_refused(run: list[Path], teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has other weights than .* average checkpoints of one"):
        cli.main(["average", str(run[0]), str(teacher), "--output", str(tmp_path / "a.pt")])
    with pytest.raises(SystemExit, match=r"no\.pt does not exist"):
        cli.main(["average", "no.pt", "--output", str(tmp_path / "a.pt")])
    assert not list(tmp_path.iterdir())


def translate(data: Path, path: Path, cwd: Path, *flags: str) -> list[str]:
    """Stock fairseq-generate in a process where kd_plugin cannot be imported."""
    code = (
        "import sys; sys.modules['kd_plugin'] = None\n"
        "import fairseq.data, types\n"
        f"{BATCHING}"
        "from fairseq_cli.generate import cli_main; cli_main()"
    )
    flags = (str(data), "--path", str(path), "--cpu", "--beam", "2", "--max-len-b", "9", *flags)
    more = ("--scoring", "sacrebleu", "--required-batch-size-multiple", "1", "--max-tokens", "99")
    call = subprocess.run(
        [sys.executable, "-c", code, *flags, *more],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert call.returncode == 0, call.stderr
    return sorted(line for line in call.stdout.splitlines() if line.startswith("H-"))


# One sentence a batch, where fairseq's compiled batching is missing too.
BATCHING = """
try:
    import fairseq.data.data_utils_fast
except ImportError:
    one = types.ModuleType("fairseq.data.data_utils_fast")
    one.batch_by_size_vec = lambda indices, *_: [indices[i:i + 1] for i in range(len(indices))]
    one.batch_by_size_fn = one.batch_fixed_shapes_fast = one.batch_by_size_vec
    sys.modules[one.__name__] = fairseq.data.data_utils_fast = one
"""


def test_stock_fairseq_translates_with_an_exported_student(
    run: list[Path], data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "student.pt"
    cli.main(["export", str(run[-1]), str(output)])
    ours = translate(data, output, tmp_path)
    assert len(ours) == 11
    again = support.command(
        "fairseq-generate", data, "--user-dir", support.USER_DIR, "--task", "distillation",
        "--path", run[-1], "--cpu", "--beam", 2, "--max-len-b", 9, "--scoring", "sacrebleu",
        "--required-batch-size-multiple", 1, "--max-tokens", 99, cwd=tmp_path,
    )  # fmt: skip
    theirs = sorted(line for line in again.stdout.splitlines() if line.startswith("H-"))
    assert [line.split("\t")[2] for line in ours] == [line.split("\t")[2] for line in theirs]


def test_an_exported_student_is_plain_data(run: list[Path], tmp_path: Path) -> None:
    cli.main(["export", str(run[-1]), str(tmp_path / "student.pt")])
    registered = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        state = support.load(tmp_path / "student.pt")
    finally:
        torch.serialization.add_safe_globals(registered)
    assert state["cfg"]["task"]["_name"] == "translation"
    assert "teacher_path" not in state["cfg"]["task"]
    assert state["origin"]["signature"].startswith("seq_kd|")
