"""Batches lose nothing, with fairseq's compiled batching and with ours in Python."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd_plugin.commands import cli
from kd_plugin.data.batches import batches
from kd_plugin.host import mends

from ..support import TINY, distillation, fairseq_train


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint16])
def test_every_sentence_once_whatever_type_the_sizes_have(kind: type, host: str) -> None:
    generator = random.Random(1)
    for _ in range(50):
        sizes: Any = np.array(
            [generator.randint(1, 40) for _ in range(generator.randint(0, 70))], kind
        )
        rows = generator.sample(range(len(sizes)), generator.randint(0, len(sizes)))
        cut = batches(rows, sizes, 50)
        assert sorted(row for batch in cut for row in batch.tolist()) == sorted(rows)
        assert all(len(b) == 1 or len(b) * int(sizes[b].max()) <= 50 for b in cut)
        lengths = [int(sizes[row]) for batch in cut for row in batch]
        assert lengths == sorted(lengths)


def test_both_batchings_are_one(compiled_batching: object) -> None:
    """Ours in Python against the compiled function."""
    generator = random.Random(2)
    for _ in range(500):
        sizes = np.array([generator.randint(1, 30) for _ in range(generator.randint(1, 60))])
        order = np.array(generator.sample(range(len(sizes)), len(sizes)))
        limits = (generator.choice([-1, 30, 47, 100]), generator.choice([-1, 1, 3, 5]))
        case = (order, sizes, *limits, generator.choice([1, 2, 3, 8]))
        theirs = compiled_batching.batch_by_size_vec(*case)  # type: ignore[attr-defined]
        ours = mends.batch_by_size(*case)
        assert [batch.tolist() for batch in ours] == [batch.tolist() for batch in theirs]


def test_the_commands_and_a_training(
    host: str, data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    """Everything that cuts a corpus into batches, from the first command on."""
    path = ["--path", str(teacher), "--cpu"]
    for command, more in (
        ("generate", ["--beam", "2", "--max-len-b", "9", "--subset", "test"]),
        ("cache", ["--top-k", "3"]),
        ("datastore", []),
    ):
        output = str(tmp_path / command)
        cli.main([command, str(data), *path, "--output", output, *more])
    neighbours = str(tmp_path / "neighbours")
    cli.main(["neighbours", str(tmp_path / "datastore"), "--k", "3", "--output", neighbours])
    pair = ["--teacher", str(teacher), "--student", str(teacher)]
    cli.main(["agreement", str(data), *pair, "--cpu"])
    for name, flags in (
        ("word_kd", ["--teacher-store", tmp_path / "cache"]),
        ("knn_kd", ["--teacher-store", neighbours]),
        ("seq_kd", ["--distilled-data", distilled]),
    ):
        run = distillation("--criterion", name, *flags)
        fairseq_train(data, tmp_path / name, *TINY, *run, "--max-update", 2)
