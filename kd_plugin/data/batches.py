"""Batches that cover what of a corpus can be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from fairseq.data import data_utils
from numpy.typing import NDArray


def batches(
    rows: Iterable[int], sizes: NDArray[Any], max_tokens: int, alike: bool = False
) -> list[NDArray[np.int64]]:
    """Cut sentences ``rows`` into batches of like length, shortest first; none is lost.

    Args:
        rows: sentence numbers, each once.
        sizes: tokens of every sentence of the corpus.
        max_tokens: of a batch, with its padding; one longer sentence is a batch of its own size.
        alike: whether a batch's sentences are all of one size, so that there is no padding.
    """
    sizes = np.asarray(sizes, dtype=np.int64)  # which fairseq's compiled batching asks for
    order = np.array(sorted(rows, key=lambda row: (sizes[row], row)), dtype=np.int64)
    if len(order) == 0:
        return []
    if alike:
        groups = np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1)
        return [batch for group in groups for batch in batches(group, sizes, max_tokens)]
    # a multiple of 1, because fairseq drops a last batch that is no multiple of it
    cut: list[NDArray[np.int64]] = data_utils.batch_by_size(
        order,
        num_tokens_fn=sizes.__getitem__,
        num_tokens_vec=sizes[order],
        max_tokens=max(max_tokens, int(sizes[order[-1]])),
        required_batch_size_multiple=1,
    )
    return cut
