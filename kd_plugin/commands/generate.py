"""``fairseq-kd generate``: the teacher's K best translations of every sentence of a subset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import COMPUTE_TYPES, ENGINES
from ..files.shards import parse_shard
from ..host.ranges import Range, require
from ..neighbours.mixture import FLAGS
from .flags import (
    add_data_flags,
    add_device_flags,
    add_teacher_flags,
    add_work_flags,
    declare,
    require_positive,
)

EXAMPLE = """  fairseq-kd generate data --path T.pt --beam 5 --nbest 5 --output corpus
  on the first of four GPUs or machines: ... --shard 0/4 --fp16"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "translate a subset with a teacher: K best, nothing dropped"
    parser = declare(commands, "generate", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add_data_flags(parser, "its target side is not read", subset="train")
    add_teacher_flags(parser)
    add("--output", required=True, type=Path, help="folder of the corpus; run again to resume")
    add("--beam", type=int, default=5, help="(default: %(default)s)")
    add("--nbest", type=int, default=1, help="hypotheses to keep (default: %(default)s)")
    add("--lenpen", type=float, default=1.0, help="(default: %(default)s)")
    add("--max-len-a", type=float, default=0.0, help="at most a * source length + b tokens ...")
    add("--max-len-b", type=int, default=200, help="... (default: fairseq's, 0 and 200)")
    add("--max-tokens", type=int, default=4000, help="source tokens in a batch (default: 4000)")
    about = "whose search (default: CTranslate2's where it can, else fairseq's); docs/corpora.md"
    add("--engine", choices=ENGINES, default="auto", help=about)
    about = "of CTranslate2's weights; int8 is faster and translates otherwise (default: float32)"
    add("--compute-type", choices=COMPUTE_TYPES, default="float32", help=about)
    for name, (about, default, _) in FLAGS.items():
        kind = str if default is None else type(default)
        about += "" if default is None else " (default: %(default)s)"
        add(f"--knnmt-{name}", type=kind, default=default, help=about)
    add_work_flags(parser)
    add_device_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Write one shard of the corpus, or go on with it, and print what it holds."""
    shard, shards = parse_shard(given.shard)
    require_positive(given, "beam", "nbest", "max_len_b", "max_tokens", "block_size")
    require("--max-len-a", given.max_len_a, Range(0, 1000))
    require("--lenpen", given.lenpen, Range(-10, 1000))
    for name, (_, default, allowed) in FLAGS.items():
        require(f"--knnmt-{name}", getattr(given, f"knnmt_{name}"), allowed, default)
    if given.nbest > given.beam:
        raise InputError(
            f"--nbest {given.nbest} is more than a --beam of {given.beam} finds; raise --beam"
        )
    from ..corpus.decoding import Search
    from ..corpus.engines import Engine
    from ..corpus.generate import generate
    from ..host.device import device_of
    from ..tasks.distillation import DistillationTask
    from ..teachers.checkpoints import load_teacher

    device = device_of(given.fp16, given.cpu)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    for name in FLAGS:
        setattr(task.cfg, f"knnmt_{name}", getattr(given, f"knnmt_{name}"))
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    search = Search(
        given.beam, given.nbest, given.lenpen, given.max_len_a, given.max_len_b, given.max_tokens,
        given.fp16, given.block_size,
    )  # fmt: skip
    engine = Engine(given.engine, given.compute_type)
    print(
        generate(task, teacher, search, given.output, given.subset, device, shard, shards, engine)
    )
