"""A table on a real SLURM of one node, which one_node.sh brings up and takes down."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kd_plugin.tables.locate import REPOSITORY

from .. import support

pytestmark = pytest.mark.slow
SYSTEM = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
MISSING = [
    name
    for name in ("munged", "slurmctld", "slurmd", "sbatch")
    if not shutil.which(name, path=SYSTEM)
]  # fmt: skip
if MISSING:
    pytest.skip(
        f"no {', '.join(MISSING)}: apt-get install slurm-wlm munge", allow_module_level=True
    )
if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
    pytest.skip("install 'kd-plugin[slurm]'", allow_module_level=True)

TABLE = """
title: Two rows
from: ours
data: data.yaml
baseline: none
decoding: {beam2: {--beam: 2, --max-len-a: 1, --max-len-b: 3}}
teacher: {model: tiny.args}
students: {tiny: {model: tiny.args}}
rows:
  none: {}
  word_kd: {method: word_kd, teacher: live}
"""
DATA = """
languages: [xx, yy]
train: train
valid: valid
tests: [test]
subwords: {type: bpe, joint: true, size: 20}
clean: {max_words: 100, max_ratio: 9}
"""
MODEL = """
--arch transformer --share-all-embeddings
--encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 8 --decoder-embed-dim 8
--encoder-ffn-embed-dim 8 --decoder-ffn-embed-dim 8
--encoder-attention-heads 1 --decoder-attention-heads 1 --dropout 0
--optimizer adam --lr 1e-3 --max-update 4 --max-tokens 400 --no-epoch-checkpoints --no-progress-bar
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which SLURM's commands find the node."""
    folder = tmp_path_factory.mktemp("slurm")
    script = str(REPOSITORY / "tests/tables/one_node.sh")
    node = subprocess.Popen([script, str(folder)], stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    try:
        assert node.stdout.readline() == "ready\n"
        path = f"{folder}/bin:{Path(sys.executable).parent}:{SYSTEM}"
        yield {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix,
               "SLURM_CONF": str(folder / "slurm.conf")}  # fmt: skip
    finally:
        node.terminate()
        node.wait()


def table(folder: Path) -> list[str]:
    """A table that is not in the repository, and the command that fills it with slurm's profile.

    The profile asks for less memory than this node has, and looks more often.
    """
    (folder / "two.yaml").write_text(TABLE)
    (folder / "data.yaml").write_text(DATA)
    (folder / "tiny.args").write_text(MODEL)
    support.write_lines(folder / "raw", {"train": 60, "valid": 8, "test": 5}, ("xx", "yy"))
    given = (REPOSITORY / "configs/profiles/slurm/config.yaml").read_text()
    for name, value in (("mem_mb", 900), ("slurm-init-seconds-before-status-checks", 2)):
        given, times = re.subn(rf"\b{name}: \d+", f"{name}: {value}", given)
        assert times == 1
    (folder / "profile").mkdir()
    (folder / "profile" / "config.yaml").write_text(given)
    return [
        str(REPOSITORY / "scripts/reproduce.sh"), str(folder / "two.yaml"), "--seeds", "1",
        "--from", str(folder / "raw"), "--profile", str(folder / "profile"),
        "--output", str(folder / "out"),
    ]  # fmt: skip


def said(log: Path) -> int:
    """The job that a step ran as, by its log."""
    found = re.match(r"SLURM job (\d+)\n", log.read_text())
    assert found is not None
    return int(found[1])


def states(cluster: dict[str, str]) -> dict[int, str]:
    """SLURM's own word on each job."""
    call = ["squeue", "--states=all", "--noheader", "--format=%i %T"]
    listed = subprocess.run(call, env=cluster, capture_output=True, text=True, check=True).stdout
    return {int(line.split()[0]): line.split()[1] for line in listed.splitlines()}


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    while not condition():
        assert run.poll() is None, "it ended by itself"
        time.sleep(0.1)


def test_a_table_whose_job_is_cancelled_is_filled_by_the_next_run(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    call, out = table(tmp_path), tmp_path / "out"
    planned = out / "two.paper.data" / "plan.json"
    run = subprocess.Popen(call, env=cluster, stderr=subprocess.PIPE, text=True)
    wait_for(planned.exists, run)
    steps = json.loads(planned.read_text())["steps"]
    victim = next(s["folder"] for s in steps if s["title"] == "word_kd, tiny, seed 1: training")
    log = out / victim / "log"
    wait_for(lambda: log.exists() and log.read_text().endswith("\n"), run)
    job = said(log)
    subprocess.run(["scancel", str(job)], env=cluster, check=True)
    told = run.communicate()[1]

    assert run.returncode == 1
    assert states(cluster)[job] == "CANCELLED"
    why = f"SLURM job {job} was ended from outside: cancelled, or its time was over"
    assert f"failed: word_kd, tiny, seed 1: training: {why}" in told
    assert f"failed           word_kd, tiny, seed 1: training: {why}" in told
    page = out / "two.paper.data" / "table.md"
    assert f"{why} (log: {victim}/log)" in page.read_text()
    assert why in log.read_text()
    done = {path: path.stat().st_mtime_ns for path in out.glob("steps/*/complete")}
    assert len(done) == len(steps) - 3  # training, translation and scores of one row are missing

    again = subprocess.run(call, env=cluster, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert why not in page.read_text()
    found = {path: path.stat().st_mtime_ns for path in out.glob("steps/*/complete")}
    assert len(found) == len(steps)
    assert done.items() <= found.items()
    jobs = {said(out / step["folder"] / "log") for step in steps}
    assert len(jobs) == len(steps)
    known = states(cluster)
    assert {known[one] for one in jobs} == {"COMPLETED"}
    sent = (out / "two.paper.data" / "snakemake.log").read_text()
    assert {int(n) for n in re.findall(r"with SLURM jobid (\d+)", sent)} == jobs - {
        said(path.with_name("log")) for path in done
    }


def test_stopped_it_takes_its_jobs_back(tmp_path: Path, cluster: dict[str, str]) -> None:
    call, out = table(tmp_path), tmp_path / "out"
    before = set(states(cluster))
    run = subprocess.Popen(call, env=cluster, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(list(out.glob("steps/data-*/log"))) == 1, run)
    run.send_signal(signal.SIGTERM)
    told = run.communicate()[1]
    assert run.returncode == 143
    assert "reproduce.sh: stopped; run the same command again to go on" in told
    for _ in range(100):
        known = {job: state for job, state in states(cluster).items() if job not in before}
        if set(known.values()) == {"CANCELLED"}:
            break
        time.sleep(0.1)
    assert list(known.values()) == ["CANCELLED"]
