"""``fairseq-kd binarise``: a second data folder whose training targets a teacher wrote.

Token ids go straight from the corpus to fairseq's binary format; nothing is written as text and cut
into subwords again. Valid and test sets keep their references, so that a student is validated on
them. The result is a folder for ``--distilled-data``, or a data folder of its own. With --nbest or
--copies a source stands once for each of its targets: such a folder is trained on by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import add_languages, add_pairs_flags, declare, parse_copies

EXAMPLE = """  fairseq-kd binarise corpus data --output distilled
  fairseq-train data --distilled-data distilled --criterion seq_kd ..."""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "make a data folder from a teacher corpus"
    parser = declare(commands, "binarise", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add("corpus", metavar="CORPUS", type=Path, help="output of fairseq-kd generate, all shards")
    add("data", metavar="DATA", help="the binarised corpus that was translated")
    add("--output", required=True, type=Path, help="the new folder")
    add("--subset", default="train", help="(default: %(default)s)")
    add_languages(parser)
    add_pairs_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Binarise, and print where each target came from."""
    copies = parse_copies(given, "nbest")
    from ..corpus.binarise import binarise
    from ..tasks.distillation import DistillationTask

    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    counts = binarise(task, given.corpus, given.output, given.subset, given.undecoded, copies)
    print(f"{given.output}: " + ", ".join(f"{key} {value}" for key, value in counts.items()))
