"""Keys of a datastore, read from the store that holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..stores.store import Store


class Keys:
    """The keys and tokens of a store of kind ``features``, in the order of its records.

    They stay on disk; what is asked for is read.
    """

    def __init__(self, store: Store):
        self.store = store
        self.ends = np.cumsum([0, *(len(part) for part in store.maps)])  # records before each shard
        self.width = int(store.record["features0"].shape[0])

    def __len__(self) -> int:
        return self.store.tokens

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Keys ``start .. stop`` as float32 [n, D]."""
        return self.of(np.arange(start, stop))

    def of(self, ids: NDArray[Any]) -> NDArray[np.float32]:
        """The keys of records ``ids`` [...] as float32 [..., D]."""
        stored = np.ascontiguousarray(self._gather("features0", ids))
        wide = torch.from_numpy(stored).float()  # numpy takes five times longer
        keys: NDArray[np.float32] = wide.numpy()
        return keys

    def tokens(self, ids: NDArray[Any]) -> NDArray[np.int64]:
        """The target tokens of records ``ids`` [...]."""
        return self._gather("y", ids).astype(np.int64)[..., 0]

    def _gather(self, field: str, ids: NDArray[Any]) -> NDArray[Any]:
        if len(self.store.maps) == 1:
            found: NDArray[Any] = self.store.maps[0][field][ids]
            return found
        kind = self.store.record[field]
        found = np.empty((*ids.shape, *kind.shape), kind.base)
        shard = np.searchsorted(self.ends, ids, side="right") - 1
        for number, part in enumerate(self.store.maps):
            here = shard == number
            found[here] = part[field][ids[here] - self.ends[number]]
        return found


def squared_distances(queries: NDArray[Any], keys: NDArray[Any]) -> NDArray[np.float32]:
    """Squared Euclidean distances of queries [n, D] to their candidates [n, R, D], [n, R]."""
    apart = torch.from_numpy(keys) - torch.from_numpy(queries).unsqueeze(1)
    distances: NDArray[np.float32] = apart.square_().sum(-1).numpy()
    return distances
