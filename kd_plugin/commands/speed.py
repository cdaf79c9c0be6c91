"""``fairseq-kd speed``: how many tokens a model writes in a second, and how large its export is.

The first --sentences of a subset are translated by fairseq's search, and by CTranslate2 from the
folder that ``export --format ctranslate2`` writes, where that is installed and has a place for the
model. On a CPU one thread computes and seconds are the processor's, so that other work on the
machine counts little; on a GPU they are the clock's. Tokens are those of the best translations,
with the end of sentence. Each search runs once before it is timed; of --repetitions the median
counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import (
    add_data_flags,
    add_device_flags,
    add_search_flags,
    add_teacher_flags,
    declare,
    require_positive,
    require_search,
    set_neighbours,
)

EXAMPLE = """  fairseq-kd speed data --path student/checkpoint_last.pt --beam 1
  fairseq-kd speed data --path student/checkpoint_last.pt --json speed.json"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "tokens a second and megabytes of a model that translates"
    parser = declare(commands, "speed", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add_data_flags(parser, "its target side is not read", subset="test")
    add_teacher_flags(parser)
    add("--beam", type=int, default=5, help="(default: %(default)s); 1 is greedy")
    add_search_flags(parser)
    add("--sentences", type=int, default=500, metavar="N", help="(default: the first %(default)s)")
    add("--repetitions", type=int, default=3, metavar="N", help="(default: %(default)s)")
    add("--json", metavar="FILE", help="also write everything here")
    add_device_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Measure, print and write."""
    require_positive(given, "beam", "sentences", "repetitions")
    require_search(given)
    from ..corpus.decoding import Search
    from ..corpus.speed import speed
    from ..files.whole import write_json
    from ..host.device import device_of
    from ..models.outside import export_outside
    from ..tasks.distillation import DistillationTask
    from ..teachers.checkpoints import load_teacher

    device = device_of(given.fp16, given.cpu)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    set_neighbours(task.cfg, given)
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    search = Search(
        beam=given.beam, lenpen=given.lenpen, max_len_a=given.max_len_a, max_len_b=given.max_len_b,
        max_tokens=given.max_tokens, fp16=given.fp16,
    )  # fmt: skip

    def export(folder: Path) -> None:
        export_outside(Path(given.path), folder, given.teacher_data or given.data)

    found = speed(
        task, teacher, search, given.subset, export, device, given.sentences, given.repetitions
    )
    for name, engine in (("fairseq", found["fairseq"]), ("CTranslate2", found["ctranslate2"])):
        if "why_not" in engine:
            print(f"{name} {engine['why_not']}")
            continue
        size = f", {engine['megabytes']:.2f} MB" if "megabytes" in engine else ""
        tokens, seconds = engine["tokens"], engine["seconds"]
        print(
            f"{name}: {tokens / seconds:,.0f} tokens a second ({tokens:,} in {seconds:.2f}){size}"
        )
    if given.json:
        write_json(given.json, found)
