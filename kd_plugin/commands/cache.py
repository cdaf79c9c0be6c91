"""``fairseq-kd cache``: what a teacher believes about every target token of a corpus, on disk.

Distillation from the store needs no teacher in memory, and no teacher's forward pass in each epoch.
docs/stores.md has the format, what the kept mass is, and where the defaults come from.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import DTYPES, TAILS
from ..files.shards import parse_shard, subset_name
from .flags import (
    add_data_flags,
    add_device_flags,
    add_teacher_flags,
    add_too_long,
    add_work_flags,
    declare,
    require_positive,
)

EXAMPLE = """  fairseq-kd cache data --path T.pt --subset train,valid --top-k 8 --output store
  fairseq-train data --task distillation --criterion word_kd --teacher-store store ...
  what is in it, and how far from the teacher: ... --info, ... --verify"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "store what a teacher believes, to train without it"
    parser = declare(commands, "cache", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add_data_flags(parser, subset="train,valid")
    add_teacher_flags(parser, required=False)
    add("--output", required=True, type=Path, help="folder of the store; run again to resume")
    add("--top-k", type=int, default=8, help="tokens to keep (default: %(default)s)")
    add(
        "--tail",
        choices=TAILS,
        default="uniform",
        help="what training makes of the mass that is not kept (default: %(default)s)",
    )
    add("--features", action="store_true", help="keep decoder states: the whole distribution")
    add("--dtype", choices=DTYPES, default="float16", help="(default: %(default)s)")
    add("--max-tokens", type=int, default=4000, help="tokens in a batch (default: %(default)s)")
    add_too_long(parser, "the teacher", "store nothing of them")
    add(
        "--info",
        action="store_true",
        help="write nothing; size, and what the records say",
    )
    add(
        "--beside",
        type=Path,
        metavar="STORE",
        help="with --info of neighbours: the teacher's own store, to compare with",
    )
    add("--verify", action="store_true", help="write nothing; compare with the live teacher")
    add_work_flags(parser)
    add_device_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Write, describe or verify the stores of one or several subsets."""
    require_positive(given, "top_k", "max_tokens", "block_size")
    shard, shards = parse_shard(given.shard)
    if not given.info and not given.path:
        raise InputError("--path is not given; name the teacher's checkpoint")
    if given.beside and not given.info:
        raise InputError(
            f"--beside {given.beside} is compared by --info; give that, or leave it out"
        )
    from ..host.device import device_of, precision_of
    from ..stores.info import describe
    from ..stores.store import Store
    from ..tasks.distillation import DistillationTask
    from ..teachers import retrieved
    from ..teachers.cache import Keep, read_pairs, write_subset
    from ..teachers.checkpoints import load_teacher
    from ..teachers.stored import TeacherStore
    from ..teachers.verify import verify

    device = device_of(given.fp16, given.cpu)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    keep = Keep(
        "features" if given.features else "beliefs", given.top_k, given.tail, given.dtype,
        max_tokens=given.max_tokens, block_size=given.block_size, too_long=given.too_long,
    )  # fmt: skip
    keep.check(len(task.tgt_dict))
    subsets = given.subset.split(",")
    if given.info:
        for subset in subsets:
            name = subset_name(task, subset)
            store = Store(given.output, name)
            print(describe(store))
            if store.settings["kind"] == "neighbours":
                pairs = read_pairs(task, subset)
                print(*retrieved.describe(store, pairs), sep="\n")
                if given.beside:
                    print(*retrieved.compare(store, pairs, Store(given.beside, name)), sep="\n")
            elif given.beside:
                raise InputError(
                    f"--beside {given.beside}: {given.output} has no neighbours to compare; give "
                    "--output a store of fairseq-kd neighbours, or leave --beside out"
                )
        return
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    teacher.to(device, precision_of(given.fp16))
    for subset in subsets:
        if given.verify:
            written = TeacherStore([str(given.output)], task, subset, "--output")
            print(verify(written, read_pairs(task, subset), teacher))
        else:
            flag = f"--path {given.path}"
            print(write_subset(task, teacher, keep, given.output, subset, flag, shard, shards))
