"""Which sentences a teacher has positions for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.stored import StoredDataset
from ..errors import InputError
from .live import LiveTeacher

SIDES = ("source", "target")


def readable(
    pairs: Any, models: Mapping[str, LiveTeacher], subset: str, skip: bool = False
) -> list[int]:
    """The sentences that all models have positions for.

    Args:
        pairs: a ``LanguagePairDataset`` with targets.
        models: by the flag that names them; errors begin with it.
        subset: its name, for errors.
        skip: leave the other sentences out instead of refusing them.

    Raises:
        InputError: there are others and they are not to be skipped, or nothing is left.
    """
    sizes = np.stack([pairs.src_sizes, pairs.tgt_sizes], 1)  # [S, 2]
    reads = np.ones(len(sizes), dtype=bool)
    for flag, model in models.items():
        limits = np.array(model.max_positions())
        beyond = sizes > limits
        if beyond.any() and not skip:
            row, side = (int(i) for i in np.argwhere(beyond)[0])
            raise InputError(
                f"{flag} reads at most {int(limits[side])} {SIDES[side]} tokens and "
                f"line {row + 1} of {subset} has {sizes[row, side]} ({beyond.any(1).sum()} such "
                "line(s)); leave them out of both with --too-long skip"
            )
        reads &= ~beyond.any(1)
    if not reads.any():
        raise InputError(f"no line of {subset} fits the positions of {' and '.join(models)}")
    return [int(row) for row in reads.nonzero()[0]]


def require_positions(
    data: Any, positions: Any, teacher: LiveTeacher | None, flag: str, split: str
) -> None:
    """Refuse a teacher, or a store's, that had no positions for a sentence which is read.

    Args:
        data: the split, with ``sizes`` of source and target.
        positions: the longest source and target that the student reads.
        teacher: the one in memory.
        flag: what names it in errors.
        split: the data's name.

    Raises:
        InputError: there is such a sentence; the first is named.
    """
    sizes = np.asarray(data.sizes).reshape(len(data), -1)  # source and target tokens [n, 2]
    read = (sizes <= np.array(positions)[: sizes.shape[1]]).all(1, keepdims=True)
    if isinstance(data, StoredDataset):
        data.require_records(np.ravel(read))
    if teacher is None:
        return
    theirs = np.array(teacher.max_positions())
    beyond = read & (sizes > theirs[: sizes.shape[1]])
    if beyond.any():
        row, side = (int(i) for i in np.argwhere(beyond)[0])
        name = SIDES[side]
        raise InputError(
            f"{flag} reads at most {theirs[side]} {name} "
            f"tokens and line {row + 1} of {split} has {sizes[row, side]}; give a teacher with "
            f"more positions, or --max-{name}-positions {theirs[side]} to leave such sentences "
            "out"
        )
