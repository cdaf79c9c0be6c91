"""The default index of a datastore against the one that papers use: build time and recall."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from kd_plugin.files.whole import sha256
from kd_plugin.neighbours.keys import Keys
from kd_plugin.neighbours.search import Search, build_index, index_factory, open_datastore, recall

from .measuring import Row, seconds

PAPERS = "IVF4096,PQ64"  # knn-box and its followers
QUERIES = 500
K = 16


def measure(folder: Path | None, quick: bool) -> Iterator[Row]:
    """Build both on the keys of a finished datastore; nothing where there is none."""
    if folder is None:
        return
    _, search = open_datastore(folder, "--datastore")
    keys = search.keys
    ours = index_factory(len(keys), keys.width)
    with tempfile.TemporaryDirectory() as temporary:
        times, recalls = [], []
        for factory in (PAPERS, ours):
            path = Path(temporary) / factory
            times.append(seconds(partial(build_index, keys, factory, path)))
            recalls.append(recall_of(keys, path))
    yield {
        "id": "S9",
        "what": f"index {ours}, k {K}",
        "base": PAPERS,
        "model": f"{len(keys):,} keys of {keys.width}",
        "ratio": round(times[1] / times[0], 4),
        "repetitions": 1,
        "seconds": [round(each, 2) for each in times],
        "recall": [round(each, 4) for each in recalls],
    }


def recall_of(keys: Keys, path: Path) -> float:
    """With the default probes and candidates."""
    search = Search(keys, path, sha256(path))
    rows = np.linspace(0, len(keys) - 1, QUERIES).astype(np.int64)
    return recall(search, keys.of(rows), K)
