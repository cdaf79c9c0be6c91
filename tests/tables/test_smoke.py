"""The toy's table at scale smoke, from nothing to its page, killed on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sacrebleu

from kd_plugin.tables.ledger import kept, read_ledger
from kd_plugin.tables.locate import REPOSITORY

pytest.importorskip("snakemake")
pytestmark = pytest.mark.slow


def start(output: Path) -> subprocess.Popen[bytes]:
    words = [f"{REPOSITORY}/scripts/reproduce.sh", "toy", "--scale", "smoke", "--cores", "1"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix}
    return subprocess.Popen([*words, "--output", str(output)], env=environment,
                            start_new_session=True)  # fmt: skip


def done(output: Path) -> dict[str, int]:
    """The steps that are done, and when."""
    return {p.parent.name: p.stat().st_mtime_ns for p in output.glob("steps/*/complete")}


def test_a_table_that_is_killed_again_and_again_is_filled(tmp_path: Path) -> None:
    output, draw = tmp_path / "out", random.Random(1)
    for _ in range(3):
        before = done(output)
        run = start(output)
        while len(done(output)) < len(before) + 4:
            assert run.poll() is None, "it ended by itself"
            time.sleep(0.2)
        time.sleep(draw.uniform(0, 5))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert before.items() <= done(output).items()
    assert start(output).wait() == 0
    before = done(output)
    plan = json.loads((output / "toy.smoke.toy" / "plan.json").read_text())
    assert len(before) == len(plan["steps"])

    entries = read_ledger(output)
    assert len(entries) == len(plan["runs"]) == 6
    page = (output / "toy.smoke.toy" / "table.md").read_text()
    for entry in entries:
        references = kept(output, entry["references"]).decode().splitlines()
        for decoding, name in entry["translations"].items():
            lines = kept(output, name).decode().splitlines()
            score = sacrebleu.corpus_bleu(lines, [references]).score
            assert entry["scores"][decoding]["BLEU"] == score
            assert f"{score:.2f} [" in page
    assert start(output).wait() == 0
    assert done(output) == before
    assert read_ledger(output) == entries
