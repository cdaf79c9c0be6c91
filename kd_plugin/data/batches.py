"""Batches that cover what of a corpus can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from fairseq.data import data_utils
from numpy.typing import NDArray

from ..errors import InputError
from ..teachers.live import LiveTeacher


def batches(rows: Iterable[int], sizes: NDArray[Any], max_tokens: int) -> list[NDArray[np.int64]]:
    """Cut sentences ``rows`` into batches of like length, shortest first; none is lost.

    Args:
        rows: sentence numbers, each once.
        sizes: tokens of every sentence of the corpus.
        max_tokens: of a batch, with its padding; one longer sentence is a batch of its own size.
    """
    order = np.array(sorted(rows, key=lambda row: (sizes[row], row)), dtype=np.int64)
    if len(order) == 0:
        return []
    # a multiple of 1, because fairseq drops a last batch that is no multiple of it
    cut: list[NDArray[np.int64]] = data_utils.batch_by_size(
        order,
        num_tokens_fn=sizes.__getitem__,
        num_tokens_vec=sizes[order],
        max_tokens=max(max_tokens, int(sizes[order[-1]])),
        required_batch_size_multiple=1,
    )
    return cut


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
                f"{flag} reads at most {int(limits[side])} {('source', 'target')[side]} tokens and "
                f"line {row + 1} of {subset} has {sizes[row, side]} ({beyond.any(1).sum()} such "
                "line(s)); leave them out of both with --too-long skip"
            )
        reads &= ~beyond.any(1)
    if not reads.any():
        raise InputError(f"no line of {subset} fits the positions of {' and '.join(models)}")
    return [int(row) for row in reads.nonzero()[0]]
