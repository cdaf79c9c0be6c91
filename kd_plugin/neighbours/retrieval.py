"""The nearest keys of a datastore for every target token of a subset, written as a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.shards import is_finished, shard_path, shard_rows
from ..stores.layout import FORMAT, neighbour_fields, record_type
from ..stores.store import ENDING, Done, Store, write_store
from ..version import versions
from .keys import Keys
from .search import Search, faiss, recall

SAMPLE = 500  # queries whose true neighbours are searched, too
COPIED = (
    "languages", "sentences", "source_sha256", "target_sha256", "dictionary_sha256",
    "vocabulary", "special_ids", "teacher_sha256", "keys", "too_long",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is kept of a token's neighbours, and how the work is cut."""

    k: int = 64
    own: str = "keep"  # or leave-out: a token's own entry in the datastore
    dtype: str = "float16"
    block_size: int = 500  # sentences that a kill can cost

    def check(self, keys: int) -> None:
        """Refuse to ask for more neighbours than there are keys.

        Raises:
            InputError: it is so.
        """
        if self.k + (self.own == "leave-out") > keys:
            raise InputError(
                f"--k {self.k} asks for more neighbours than the datastore has ({keys} "
                "keys, own entry included); give fewer"
            )


def write_neighbours(
    store: Store,
    search: Search,
    wanted: Wanted,
    output: Path,
    subset: str,
    shard: int = 0,
    shards: int = 1,
) -> str:
    """Write one shard of a subset's neighbours, or go on with it.

    Args:
        store: what is searched.
        search: by which it is searched.
        wanted: what of it is kept.
        output: folder of the store that is written.
        subset: whose target tokens ask; its keys must be in the datastore's folder.
        shard: of which this is one of ``shards``, from 0.

    Returns:
        The file, in a line.

    Raises:
        InputError: the subset's keys are not there; another process writes the file, or it was
            begun with other settings; no room.
    """
    pair = store.name.split(".")[-1]
    queries = Store(store.folder, f"{subset}.{pair}", "datastore")
    own = wanted.own == "leave-out" and queries.name == store.name
    rows = shard_rows(len(queries), shard, shards)
    searched = {"probes": search.probes, "refine": search.refine}
    settings = {
        "format": FORMAT,
        "kind": "neighbours",
        "subset": subset,
        **{name: queries.settings[name] for name in COPIED},
        "datastore": [manifest["sha256"] for _, manifest in store.shards],
        "own": wanted.own,
        "search": "exact" if search.index is None else searched,
        "dtype": wanted.dtype,
        "record": neighbour_fields(wanted.k, queries.settings["vocabulary"], wanted.dtype),
        "block_size": wanted.block_size,
        "versions": versions(faiss()),
        "shard": f"{shard}/{shards}",
        "rows": [rows.start, rows.stop],
    }
    path = shard_path(output, queries.name, shard, shards, ENDING)
    if is_finished(path, settings):
        return f"{path} is complete: nothing to do"
    _tell_recall(search, Keys(queries), wanted.k)
    asked = _Asked(search, queries, settings, wanted.k, own)
    write_store(path, settings, asked.entry, wanted.block_size, asked.records)
    return str(path)


def _tell_recall(search: Search, queries: Keys, k: int) -> None:
    if search.index is None or not len(queries):
        return
    sample = np.linspace(0, len(queries) - 1, min(SAMPLE, len(queries))).astype(np.int64)
    found = recall(search, queries.of(sample), k)
    print(f"{queries.store.name}: recall {found:.4f} of the {k} nearest, {len(sample)} tokens")


class _Asked:
    """The records of sentences whose keys are known."""

    def __init__(
        self, search: Search, queries: Store, settings: Mapping[str, Any], k: int, own: bool
    ):
        self.search, self.queries, self.k, self.own = search, queries, k, own
        self.keys = Keys(queries)
        self.record = record_type(settings["record"])

    def entry(self, row: int) -> tuple[int, int]:
        """Tokens and fingerprint of a sentence, as the store of its keys has them."""
        tokens, text, _ = self.queries.index[row].tolist()
        return tokens, text

    def records(self, rows: range, done: Done) -> dict[int, NDArray[Any]]:
        """The records of each sentence that has keys; ``done`` is told."""
        starts = self.queries.starts
        start, stop = int(starts[rows.start]), int(starts[rows.stop])
        if start == stop:
            return {}
        for row in rows:
            self.queries.read(row)  # finds damage
        records = self._of(start, stop)
        parts = np.split(records, starts[rows.start + 1 : rows.stop] - start)
        found = {row: part for row, part in zip(rows, parts) if len(part)}
        done(len(found), len(records))
        return found

    def _of(self, start: int, stop: int) -> NDArray[Any]:
        distance, ids = self.search.nearest(self.keys.rows(start, stop), self.k + self.own)
        if self.own:
            kept = _without(ids, np.arange(start, stop))
            distance = distance[kept].reshape(-1, self.k)
            ids = ids[kept].reshape(-1, self.k)
        records = np.empty(stop - start, self.record)
        records["ids"] = self.search.keys.tokens(ids)
        most = np.finfo(self.record["distance"].base).max
        records["distance"] = np.minimum(distance - distance[:, :1], most)
        return records


def _without(ids: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.bool_]:
    """All of ``ids`` [n, k] but each row's ``own`` [n], or but its last where that is not found."""
    kept: NDArray[np.bool_] = ids != own[:, None]
    kept[kept.all(1), -1] = False
    return kept
