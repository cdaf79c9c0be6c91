"""The benchmark runs, and its page is made of its results. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import tables

ROOT = Path(__file__).parent.parent


def test_every_part_runs(tmp_path: Path) -> None:
    """Which asserts equal outputs in passing."""
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--results", str(results)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    known = json.loads(results.read_text())
    methods = {row["what"].split(",")[0] for row in known["small"]["rows"]}
    assert methods == {
        "word_kd", "seq_kd", "selective_kd", "tie_kd", "knn_kd", "annealing_kd", "hybrid_kd"
    }  # fmt: skip
    for name in ("small", "losses", "curves", "memory", "stores"):
        for row in known[name]["rows"]:
            assert row["ratio"] >= 0
            assert row["what"] in tables.table(known[name])
    tables.draw(known["curves"]["rows"], tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")


def test_the_page_is_made_of_the_results() -> None:
    known = json.loads((ROOT / "benchmarks/results.json").read_text())
    text = tables.PAGE.read_text("utf-8")
    assert tables.page(known, text) == text


@pytest.mark.slow
def test_commands_on_synthetic_corpora(tmp_path: Path) -> None:
    """Some of them; each says what it took."""
    folder = str(tmp_path / "made")
    only = ["import", "mix", "describe"]
    command = [sys.executable, "-m", "benchmarks.corpora", folder, "--sentences", "300"]
    command += ["--only", *only]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    rows = [line.split("|") for line in run.stdout.splitlines()]
    assert [row[1].strip() for row in rows] == only
    assert all(row[2].strip() == "300" for row in rows)


def test_an_unknown_part_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--only speed is no part; there are small, large, malloc" in done.stderr


def test_decoding_is_measured(data: Path, teacher: Path, tmp_path: Path) -> None:
    """Of any checkpoint; it stops where the engines translate differently."""
    results = tmp_path / "results.json"
    text = data.with_name("bin.text") / "test.yy"
    command = [sys.executable, "-m", "benchmarks.decoding", str(data), str(teacher)]
    command += ["--references", str(text), "--beam", "2", "--repetitions", "1"]
    command += ["--results", str(results)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(results.read_text())["decoding"]["rows"]
    assert len(rows) == 6
    assert rows[0]["what"].startswith("fairseq / our driver, float32; 100.00% of the best")
    assert "| CTranslate2 int8 |" in done.stdout
