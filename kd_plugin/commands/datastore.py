"""``fairseq-kd datastore``: the states of a decoder at every target token, and an index of them.

The first subset is the datastore; the keys of the others are only asked about its neighbours, so
that validation has neighbours, too. A store that ``fairseq-kd cache --features`` wrote serves as it
is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files.names import KEYS
from ..files.shards import parse_shard
from .flags import (
    add_data_flags,
    add_device_flags,
    add_teacher_flags,
    add_too_long,
    add_work_flags,
    declare,
    require_positive,
)

EXAMPLE = """  fairseq-kd datastore data --path T.pt --subset train,valid --output datastore
  fairseq-kd neighbours datastore --subset train,valid --k 64 --output neighbours"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "store a teacher's decoder states and index them, for neighbours"
    parser = declare(commands, "datastore", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add_data_flags(parser, "the first subset is searched", subset="train,valid")
    add_teacher_flags(parser)
    add("--output", required=True, type=Path, help="folder of the datastore; run again to resume")
    add("--keys", choices=KEYS, default="output", help="(default: %(default)s)")
    add(
        "--index",
        default="auto",
        help="exact, auto (exact up to 32,768 keys), or a name for faiss' index_factory "
        "(default: %(default)s)",
    )
    add("--max-tokens", type=int, default=4000, help="tokens in a batch (default: %(default)s)")
    add_too_long(parser, "the teacher", "store nothing of them")
    add_work_flags(parser)
    add_device_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Write the keys of each subset, and the index once all shards of the first are there."""
    require_positive(given, "max_tokens", "block_size")
    shard, shards = parse_shard(given.shard)
    from ..host.device import device_of, precision_of
    from ..neighbours.datastore import write_datastore
    from ..neighbours.search import faiss
    from ..tasks.distillation import DistillationTask
    from ..teachers.cache import Keep
    from ..teachers.checkpoints import load_teacher

    faiss()
    device = device_of(given.fp16, given.cpu)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    teacher.to(device, precision_of(given.fp16))
    keep = Keep(
        "features", keys=given.keys, max_tokens=given.max_tokens, block_size=given.block_size,
        too_long=given.too_long,
    )  # fmt: skip
    for told in write_datastore(
        task, teacher, keep, given.output, given.subset.split(","), given.index,
        f"--path {given.path}", shard, shards,
    ):  # fmt: skip
        print(told)
