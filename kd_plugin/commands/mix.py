"""``fairseq-kd mix``: gold and teacher text in one training set.

Each --part is added to the new folder's training set, in order: ``gold`` (the targets of DATA), a
corpus, or a data folder with the same dictionaries (back-translated text, say). ``:N`` repeats it,
``@TAG`` puts that entry of the dictionary before its sources. A corpus gives the pairs that
``binarise`` would make of it. Valid and test sets are those of DATA.

The result is one plain training set, not fairseq's ``train`` and ``train1``, whose sampling depends
on --upsample-primary. Train on it by itself; fairseq-kd cache writes a store of all of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import add_data_flags, add_pairs_flags, declare, parse_copies

EXAMPLE = """  fairseq-kd mix data --part gold --part corpus --output both
  fairseq-kd mix data --part gold:2 --part by-bleu --copies 4,3,2,1 --output x1"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "join gold and teacher text in one training set"
    parser = declare(commands, "mix", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "it gives dictionaries, valid and test sets")
    add = parser.add_argument
    add("--part", action="append", required=True, metavar="WHAT[:N][@TAG]", help="see above")
    add("--output", required=True, type=Path, help="the new folder")
    add_pairs_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Mix, and print how many pairs each part gave."""
    copies = parse_copies(given, "nbest")
    from ..corpus.mix import Part, mix
    from ..tasks.distillation import DistillationTask

    parts = [Part.parse(text) for text in given.part]
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    counts = mix(task, parts, given.output, given.subset, given.undecoded, copies)
    print(f"{given.output}: " + ", ".join(f"{key} {value}" for key, value in counts.items()))
