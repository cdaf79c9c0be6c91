"""What the tests of stores share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd_plugin.commands import cli
from kd_plugin.files.blocks import manifest_path
from kd_plugin.stores.layout import record_type

from . import support
from .support import TINY, build, distillation

NAME = "train.xx-yy.shard0-of-1.store"

# Methods that read a teacher's belief, with values that let every part of it act.
METHODS = {
    "word_kd": (),
    "word_kd top-k": ("--kd-target", "top-k", "--kd-target-k", 3),
    "word_kd no-top1": ("--kd-target", "no-top1"),
    "word_kd T": ("--kd-temperature", 2),
    "selective_kd": ("--kd-select-rate", 0.4, "--kd-select", "batch"),
    "selective_kd by entropy": ("--kd-select-by", "teacher-entropy", "--kd-select", "batch"),
    "tie_kd": ("--tie-iterations", 1),
    "hybrid_kd": ("--hybrid-gate", "fixed"),
}


def cache(data: Path, teacher: object, output: Path, *flags: object) -> Path:
    command = ["cache", data, "--path", teacher, "--output", output, "--cpu", *flags]
    cli.main([str(part) for part in command])
    return output


def records(store: Path, subset: str = "train") -> Any:
    """All records, by the manifest alone."""
    path = store / NAME.replace("train", subset)
    fields = json.loads(manifest_path(path).read_text())["settings"]["record"]
    return np.fromfile(path, record_type(fields))


def assert_stores_equal(ours: Path, theirs: Path) -> None:
    names = sorted(path.name for path in theirs.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == names
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def interrupt(
    monkeypatch: pytest.MonkeyPatch, kind: Any, times: int, run: Callable[[], Path], folder: Path
) -> None:
    """Have ``run`` stopped ``times``: in its first block, then each time in its second.

    ``kind`` makes the records of a block. Each time a torn piece is left behind in ``folder``.
    """
    real = kind.records
    for time in range(times):
        calls = iter(range(99))

        def records(
            self: Any, rows: range, done: Any, calls: Any = calls, last: int = time > 0
        ) -> Any:
            if next(calls) == last:
                raise KeyboardInterrupt
            return real(self, rows, done)

        monkeypatch.setattr(kind, "records", records)
        with pytest.raises(SystemExit):
            run()
        for part in folder.glob("*.part"):
            with open(part, "ab") as file:
                file.write(b"torn")
    monkeypatch.setattr(kind, "records", real)


def step_from(data: Path, name: str, *teacher: object, double: bool = True) -> Any:
    method, flags = name.split()[0], METHODS.get(name, ())
    command = ("--criterion", method, "--label-smoothing", 0.1, *flags, *teacher)
    setup = build(data, *TINY, *distillation(*command), double=double)
    return setup.step(setup.batch())


def weights(folder: Path) -> Any:
    return support.load(folder / "checkpoint_last.pt")["model"]


def word_kd(*flags: object) -> list[object]:
    command = ("--criterion", "word_kd", "--label-smoothing", 0.1, "--max-update", 6, *flags)
    return [*TINY, *distillation(*command)]


def damaged(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / "copy"))


def rewrite(data: Path, folder: Path, lines: list[int]) -> Path:
    """The training set of ``data`` with its sentences in another order."""
    pairs = {}
    for split in ("train", "valid"):
        text = (data.with_name("bin.text") / f"{split}.{code}" for code in ("xx", "yy"))
        pairs[split] = list(zip(*(path.read_text().splitlines() for path in text)))
    pairs["train"] = [pairs["train"][line] for line in lines]
    return support.binarise(folder, pairs, data)
