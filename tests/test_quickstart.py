"""The quickstart as a user runs it: what it claims, and that it repeats nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "quickstart.sh"


def quickstart(output: Path, *flags: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix}
    command = [str(SCRIPT), "--output", str(output), *flags]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def times(folder: Path) -> dict[Path, int]:
    """When each result of long work was written."""
    kinds = ("*.pt", "*.hyp", "*.gz", "*.bin", "*.store", "index.json")
    return {path: path.stat().st_mtime_ns for kind in kinds for path in folder.rglob(kind)}


@pytest.mark.parametrize(
    ("rule", "host"),
    [
        ("average:1", "compiled"),
        ("last", "pure"),
        pytest.param("best-bleu", "compiled", marks=pytest.mark.slow),
    ],
    indirect=["host"],
)
def test_a_smoke_run_goes_through_and_repeats_nothing(rule: str, host: str, tmp_path: Path) -> None:
    flags = ("--smoke", "--checkpoint-rule", rule)
    output = quickstart(tmp_path, *flags)
    assert f"|checkpoint:{rule}" in output
    assert "these numbers say nothing about any method" in output
    before = times(tmp_path)
    assert len([path for path in before if path.suffix == ".hyp"]) == 6
    if host == "pure":
        return  # once is enough for what does not depend on the host
    assert quickstart(tmp_path, *flags) == output
    assert times(tmp_path) == before


@pytest.mark.slow
def test_the_toy_shows_what_it_should(tmp_path: Path) -> None:
    assert "verdict: as it should be" in quickstart(tmp_path)
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
