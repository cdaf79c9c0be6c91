"""``fairseq-kd neighbours``: the nearest keys of a datastore for every target token of its subsets.

What it writes is a teacher store for ``--criterion knn_kd``; training needs neither the datastore
nor faiss. A token of the datastore is its own nearest neighbour, which the code of Yang et al.
(2022) keeps; ``--own leave-out`` does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..commands.flags import declare, require_positive
from ..errors import InputError
from ..files.shards import is_finished, parse_shard, shard_path, shard_rows
from ..stores.layout import DTYPES, FORMAT, neighbour_fields, record_type
from ..stores.store import ENDING, Store, write_store
from ..version import versions
from .keys import Keys
from .search import Search, faiss, open_datastore, recall

EXAMPLE = """  fairseq-kd neighbours datastore --subset train,valid --k 64 --output neighbours
  fairseq-train data --criterion knn_kd --teacher-store neighbours ..."""
SAMPLE = 500  # queries whose true neighbours are searched, too
COPIED = (
    "languages", "sentences", "source_sha256", "target_sha256", "dictionary_sha256",
    "vocabulary", "special_ids", "teacher_sha256", "keys", "too_long",
)  # fmt: skip


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "store every target token's nearest neighbours in a datastore"
    parser = declare(commands, "neighbours", summary, __doc__, EXAMPLE)
    add = parser.add_argument
    add("datastore", metavar="DATASTORE", type=Path, help="output of fairseq-kd datastore")
    add("--subset", default="train,valid", help="(default: %(default)s)")
    add("--k", type=int, default=64, help="neighbours of each token (default: %(default)s)")
    add("--output", required=True, type=Path, help="folder of the store; run again to resume")
    add(
        "--own",
        choices=["keep", "leave-out"],
        default="keep",
        help="what is done with a token's own entry in the datastore (default: %(default)s)",
    )
    add("--probes", type=int, default=32, help="lists of the index to search (default: 32)")
    add("--refine", type=int, default=8, help="candidates for each neighbour (default: 8)")
    add("--dtype", choices=DTYPES, default="float16", help="(default: %(default)s)")
    add("--shard", default="0/1", metavar="I/N", help="part I of N, from 0 (default: all)")
    add("--block-size", type=int, default=500, help="sentences that a kill can cost (default: 500)")
    add("--cpu", action="store_true", help="do not use a GPU, though faiss has one")
    parser.set_defaults(run=neighbours)


def neighbours(given: argparse.Namespace) -> None:
    """Write the neighbours of each subset."""
    require_positive(given, "k", "probes", "refine", "block_size")
    shard, shards = parse_shard(given.shard)
    search_flags = {"probes": given.probes, "refine": given.refine}
    store, search = open_datastore(given.datastore, "DATASTORE", gpu=not given.cpu, **search_flags)
    wanted = given.k + (given.own == "leave-out")
    if wanted > len(search.keys):
        raise InputError(
            f"--k {given.k} asks for more neighbours than the datastore has ({len(search.keys)} "
            "keys, own entry included); give fewer"
        )
    pair = store.name.split(".")[-1]
    for subset in given.subset.split(","):
        queries = Store(given.datastore, f"{subset}.{pair}", "datastore")
        own = given.own == "leave-out" and queries.name == store.name
        rows = shard_rows(len(queries), shard, shards)
        settings = {
            "format": FORMAT,
            "kind": "neighbours",
            "subset": subset,
            **{name: queries.settings[name] for name in COPIED},
            "datastore": [manifest["sha256"] for _, manifest in store.shards],
            "own": given.own,
            "search": "exact" if search.index is None else search_flags,
            "dtype": given.dtype,
            "record": neighbour_fields(given.k, queries.settings["vocabulary"], given.dtype),
            "block_size": given.block_size,
            "versions": versions(faiss()),
            "shard": f"{shard}/{shards}",
            "rows": [rows.start, rows.stop],
        }
        path = shard_path(given.output, queries.name, shard, shards, ENDING)
        if is_finished(path, settings):
            print(f"{path} is complete: nothing to do")
            continue
        _tell_recall(search, Keys(queries), given.k)
        asked = _Asked(search, queries, settings, given.k, own)
        write_store(path, settings, asked.entry, given.block_size, asked.records)
        print(path)


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

    def records(self, rows: range) -> dict[int, NDArray[Any]]:
        """The records of each sentence that has keys."""
        starts = self.queries.starts
        start, stop = int(starts[rows.start]), int(starts[rows.stop])
        if start == stop:
            return {}
        for row in rows:
            self.queries.read(row)  # finds damage
        records = self._of(start, stop)
        parts = np.split(records, starts[rows.start + 1 : rows.stop] - start)
        return {row: part for row, part in zip(rows, parts) if len(part)}

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
