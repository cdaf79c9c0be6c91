"""``fairseq-kd neighbours``: the nearest keys of a datastore for every target token of its subsets.

What it writes is a teacher store for ``--criterion knn_kd``; training needs neither the datastore
nor faiss. A token of the datastore is its own nearest neighbour, which the code of Yang et al.
(2022) keeps; ``--own leave-out`` does not.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files.names import DTYPES
from ..files.shards import parse_shard
from .flags import add_work_flags, declare, require_positive

EXAMPLE = """  fairseq-kd neighbours datastore --subset train,valid --k 64 --output neighbours
  fairseq-train data --criterion knn_kd --teacher-store neighbours ..."""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "store every target token's nearest neighbours in a datastore"
    parser = declare(commands, "neighbours", summary, __doc__, EXAMPLE, run)
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
    add_work_flags(parser, block_size=500)
    add("--cpu", action="store_true", help="do not use a GPU, though faiss has one")


def run(given: argparse.Namespace) -> None:
    """Write the neighbours of each subset."""
    require_positive(given, "k", "probes", "refine", "block_size")
    shard, shards = parse_shard(given.shard)
    from ..neighbours.retrieval import Wanted, write_neighbours
    from ..neighbours.search import open_datastore

    store, search = open_datastore(
        given.datastore, "DATASTORE", gpu=not given.cpu, probes=given.probes, refine=given.refine
    )
    wanted = Wanted(given.k, given.own, given.dtype, given.block_size)
    wanted.check(len(search.keys))
    for subset in given.subset.split(","):
        print(write_neighbours(store, search, wanted, given.output, subset, shard, shards))
