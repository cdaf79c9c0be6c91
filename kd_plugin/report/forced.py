"""Two models read the references of a subset (teacher forcing), and every token is tallied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batches import batches
from ..files.progress import Progress
from ..host.device import moved
from ..teachers.live import LiveTeacher
from .tally import Tally

SLICE = 1 << 24  # probabilities that are held at once, of each model


@torch.no_grad()
def measure(
    teacher: LiveTeacher,
    student: LiveTeacher,
    pairs: Any,
    rows: Sequence[int],
    group_of: Tensor,
    tally: Tally,
    max_tokens: int = 4000,
) -> None:
    """Add every target token of sentences ``rows`` to ``tally``, once.

    Args:
        teacher, student: both where ``group_of`` is.
        pairs: a ``LanguagePairDataset`` with targets.
        group_of: the group of each target token [V].
        max_tokens: of a batch, source or target with padding, whichever is more.
    """
    sizes = np.maximum(pairs.src_sizes, pairs.tgt_sizes)
    seen: list[int] = []
    progress = Progress(len(rows))
    for batch in batches(rows, sizes, max_tokens):
        sample = pairs.collater([pairs[int(row)] for row in batch])
        seen += sample["id"].tolist()
        sample = moved(sample, group_of.device)
        _read(teacher, student, sample, group_of, pairs.tgt_dict.pad(), tally)
        progress.add(len(batch))
    progress.close()
    if sorted(seen) != sorted(rows):
        raise RuntimeError(f"{len(rows)} sentences went in and {len(seen)} were read")


def _read(
    teacher: LiveTeacher,
    student: LiveTeacher,
    sample: Any,
    group_of: Tensor,
    padding: int,
    tally: Tally,
) -> None:
    real = sample["target"].ne(padding)  # [B, T]
    y = sample["target"][real]  # [N]
    q, p = (model.targets(sample["net_input"], real) for model in (teacher, student))
    for start, stop in _slices(len(y), SLICE // len(group_of)):
        part = y[start:stop]
        tally.add(q.rows(start, stop), p.rows(start, stop), part, group_of[part])


def _slices(size: int, step: int) -> Iterable[tuple[int, int]]:
    step = max(step, 1)
    return ((start, min(start + step, size)) for start in range(0, size, step))
