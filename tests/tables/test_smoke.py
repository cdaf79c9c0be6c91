"""Whole tables at scale smoke, from raw text to their pages; the toy's, killed on the way.

For every change run two rows of one paper's, here, and the toy's (tests/test_quickstart.py).
"""

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
import yaml

from kd_plugin.tables.ledger import kept, read_ledger
from kd_plugin.tables.locate import CONFIGS, REPOSITORY

pytest.importorskip("snakemake")
TABLES = [path.stem for path in sorted((CONFIGS / "tables").glob("*.yaml"))]


def start(output: Path, table: str) -> subprocess.Popen[bytes]:
    words = [f"{REPOSITORY}/scripts/reproduce.sh", table, "--scale", "smoke", "--cores", "1"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix}
    return subprocess.Popen([*words, "--output", str(output)], env=environment,
                            start_new_session=True)  # fmt: skip


def done(output: Path) -> dict[str, int]:
    """The steps that are done, and when."""
    return {p.parent.name: p.stat().st_mtime_ns for p in output.glob("steps/*/complete")}


def require_filled(output: Path, table: str) -> None:
    """Every step is done, every run is in the ledger, and the page has sacrebleu's numbers."""
    (folder,) = output.glob(f"{table}.smoke.*")
    plan = json.loads((folder / "plan.json").read_text())
    assert {Path(step["folder"]).name for step in plan["steps"]} <= {*done(output)}
    entries = [entry for entry in read_ledger(output) if entry["table"] == table]
    assert len(entries) == len(plan["runs"])
    page = (folder / "table.md").read_text()
    for entry in entries:
        references = kept(output, entry["references"]).decode().splitlines()
        for decoding, name in entry["translations"].items():
            lines = kept(output, name).decode().splitlines()
            score = sacrebleu.corpus_bleu(lines, [references]).score
            assert entry["scores"][decoding]["BLEU"] == score
            assert f"{score:.2f} [" in page
    for state in ("unfinished", "failed"):
        assert f"| {state} |" not in page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all tables, which have the data and the teacher in common."""
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("host", ["pure"], indirect=True)  # the quickstart has the compiled one
def test_a_papers_table_from_raw_text_to_its_page(host: str, tmp_path: Path) -> None:
    """References, and beside them the teacher's text for sources that have none."""
    table = yaml.safe_load((CONFIGS / "tables" / "aji_heafield_2020.yaml").read_text())
    table["rows"] = {name: table["rows"][name] for name in ("gold", "gold+source")}
    table["measure"].remove("agreement")  # the quickstart measures it, and searches greedily
    del table["decoding"]["greedy"]
    (tmp_path / "two.yaml").write_text(json.dumps(table))  # JSON is YAML
    assert start(tmp_path / "out", f"{tmp_path}/two.yaml").wait() == 0
    require_filled(tmp_path / "out", "two")


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_a_table_from_raw_text_to_its_page(table: str, shared: Path) -> None:
    assert start(shared, table).wait() == 0
    require_filled(shared, table)


@pytest.mark.slow
def test_a_table_that_is_killed_again_and_again_is_filled(tmp_path: Path) -> None:
    output, draw = tmp_path / "out", random.Random(1)
    for _ in range(3):
        before = done(output)
        run = start(output, "toy")
        while len(done(output)) < len(before) + 4:
            assert run.poll() is None, "it ended by itself"
            time.sleep(0.2)
        time.sleep(draw.uniform(0, 5))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert before.items() <= done(output).items()
    assert start(output, "toy").wait() == 0
    require_filled(output, "toy")
    before, entries = done(output), read_ledger(output)
    assert start(output, "toy").wait() == 0
    assert done(output) == before
    assert read_ledger(output) == entries
