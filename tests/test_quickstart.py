"""The quickstart as a user runs it: what it claims, that it repeats nothing, how it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "quickstart.sh"
ROWS = ("none", "word_kd", "word_kd_store", "knn_kd", "seq_kd", "teacher")


def start(output: Path, *flags: str) -> subprocess.Popen[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix}
    command = [str(SCRIPT), "--output", str(output), *flags]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip


def quickstart(output: Path, *flags: str) -> str:
    run = start(output, *flags)
    said, told = run.communicate()
    assert run.returncode == 0, told
    return said


def times(folder: Path) -> dict[Path, int]:
    """When each result of long work was written."""
    kinds = ("*.pt", "complete", "*.gz", "*.bin", "*.store", "index.json", "ledger.jsonl")
    return {path: path.stat().st_mtime_ns for kind in kinds for path in folder.rglob(kind)}


def at_work(folder: Path) -> list[str]:
    """The processes that were started for a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, here = (process / "cmdline").read_bytes(), os.readlink(process / "cwd")
        except OSError:  # it has ended
            continue
        if str(folder).encode() in words or Path(here).is_relative_to(folder):
            found.append(words.replace(b"\0", b" ").decode())
    return found


def kill_on_the_way(output: Path, *flags: str) -> None:
    """Behind the first step, and the script alone: what it started must end by itself."""
    run = start(output, *flags)
    while not [*output.glob("steps/*/complete")]:
        assert run.poll() is None, run.communicate()
        time.sleep(0.2)
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 120
    while left := at_work(output):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("rule", "host"),
    [
        ("average:1", "compiled"),
        pytest.param("last", "pure", marks=pytest.mark.slow),
        pytest.param("best-bleu", "compiled", marks=pytest.mark.slow),
    ],
    indirect=["host"],
)
def test_a_smoke_run_goes_through_and_repeats_nothing(rule: str, host: str, tmp_path: Path) -> None:
    flags = ("--smoke", "--checkpoint-rule", rule)
    if host == "compiled":
        kill_on_the_way(tmp_path, *flags)
    before = times(tmp_path)
    output = quickstart(tmp_path, *flags)
    assert f"|checkpoint:{rule}" in output
    assert "these numbers say nothing about any method" in output
    assert all(f"\n| {row} | 1 | " in output for row in ROWS)
    ledger = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["row"] for line in ledger) == sorted(ROWS)
    assert before.items() <= times(tmp_path).items()
    if host == "pure":
        return  # once is enough for what does not depend on the host
    before = times(tmp_path)
    assert quickstart(tmp_path, *flags) == output
    assert times(tmp_path) == before


@pytest.mark.slow
def test_the_toy_shows_what_it_should(tmp_path: Path) -> None:
    assert "verdict: as it should be" in quickstart(tmp_path)
    assert "<svg" in (tmp_path / "toy.paper.toy" / "table.html").read_text()
