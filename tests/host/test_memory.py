"""The most memory of a process, as the system saw it, and in the log of a training."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from kd_plugin.host import memory

from .. import support

CHILD = """
from kd_plugin.host.memory import peak_megabytes
before = peak_megabytes()
bytes_ = bytearray(b"x" * 150_000_000)
del bytes_
print(before, peak_megabytes())
"""


def test_what_was_freed_counts() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 290 < after - before < 320  # the text, and its copy


def test_without_a_file_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = memory.peak_megabytes()
    monkeypatch.setattr(memory, "STATUS", tmp_path / "gone")
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * memory.UNIT / 1e6
    assert memory.peak_megabytes() == pytest.approx(usage, abs=1)
    assert memory.peak_megabytes() >= 0.9 * known


def test_a_training_tells_it(data: Path, tmp_path: Path) -> None:
    flags = support.distillation("--criterion", "label_smoothed_cross_entropy", "--max-update", 2)
    before = memory.peak_megabytes()
    run = support.fairseq_train(data, tmp_path, *support.TINY, *flags)
    for tag in ("train_inner", "train", "valid"):
        assert before <= run.stats(tag)[-1]["peak_mb"] <= memory.peak_megabytes()
