"""``fairseq-kd fold``: teachers that teach what they never saw.

First, --folds K cuts DATA by a hash of the source: OUTPUT/I/seen is a data folder without fold I,
to train teacher I on, and OUTPUT/I/unseen one with fold I alone, for it to teach: generate a corpus
of it, or cache a store.

Then, --corpora or --stores with one for each teacher are merged into one of all of DATA, in its
order. Each sentence is taught by a teacher whose training text (--trained-on) lacks its source; a
teacher that saw what it teaches is refused. --path, the checkpoints, prove which corpus is whose,
and say themselves what they were trained on. With --seen it is the other way round, to compare
with: teacher I + 1 teaches OUTPUT/I/unseen (and teacher 0 the last), which it was trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .flags import add_data_flags, declare, require_positive

EXAMPLE = """  fairseq-kd fold data --folds 2 --output folds
  ./scripts/train.sh folds/0/seen ...; ./scripts/train.sh folds/1/seen ...
  fairseq-kd generate folds/0/unseen --path T0.pt --output corpus0; ... folds/1/unseen ...
  fairseq-kd fold data --trained-on folds/0/seen folds/1/seen --corpora corpus0 corpus1 \\
      --output corpus"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "teachers that teach what they never saw: cut the data, merge what they say"
    parser = declare(commands, "fold", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "all of it")
    add = parser.add_argument
    add("--folds", type=int, metavar="K", help="cut DATA into K folds")
    add("--corpora", nargs="+", type=Path, metavar="CORPUS", help="merge these, one a teacher")
    add("--stores", nargs="+", type=Path, metavar="STORE", help="merge these, one a teacher")
    about = "data folders that the teachers were trained on, in their order"
    add("--trained-on", nargs="+", metavar="FOLDER", default=(), help=about)
    add("--path", nargs="+", metavar="CHECKPOINT", default=(), help="of the teachers, as a proof")
    about = "merge what was said by the next teacher each time, which was trained on the sentence"
    add("--seen", action="store_true", help=about)
    add("--output", required=True, type=Path, help="new folder, or of the corpus or store")
    add("--block-size", type=int, default=2000, help="sentences a block (default: %(default)s)")


def run(given: argparse.Namespace) -> None:
    """Cut or merge, and print how many sentences each fold has."""
    what = [name for name in ("folds", "corpora", "stores") if getattr(given, name) is not None]
    if len(what) != 1:
        found = " and ".join(f"--{name}" for name in what) or "none"
        raise InputError(f"give one of --folds, --corpora and --stores, not {found}")
    require_positive(given, "block_size")
    from ..host.ranges import Range, require, spelled

    require("--folds", given.folds, Range(2, 1000))
    for name in ("trained_on", "path", "seen"):
        flag, values = spelled(name), getattr(given, name)
        if given.folds and values:
            raise InputError(f"{flag} is for merging, and --folds cuts; leave one of them out")
    parts = given.corpora or given.stores
    if given.seen and len(parts) < 2:
        raise InputError(
            f"--seen with --{what[0]} of one teacher; it needs two or more, each trained on what "
            "another one was not: name them, or leave it out"
        )
    from ..corpus.fold import cut
    from ..corpus.merge import merge_corpora
    from ..corpus.merge_stores import merge_stores
    from ..tasks.distillation import DistillationTask

    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    if given.folds:
        sizes = cut(task, given.folds, given.output, given.subset)
        print(f"{given.output}: " + ", ".join(f"fold {n} {size}" for n, size in enumerate(sizes)))
        return
    merge = merge_corpora if given.corpora else merge_stores
    how = (given.subset, given.path, given.block_size, given.seen)
    print(merge(task, given.trained_on, parts, given.output, *how))
