"""``fairseq-kd sources``: plain text becomes a data folder that a teacher can translate.

Lines of DATA's source language (--source-lang turns the direction round), cut by the data's own
SentencePiece model and numbered by its dictionary, become the training sources of a new folder;
dictionaries, valid and test sets are DATA's. There is no target side: ``generate`` writes it, and
``binarise --undecoded drop`` makes pairs of it, which ``mix`` joins with the gold. An empty line is
an empty source, so that lines keep their numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import SUBWORDS
from .flags import add_data_flags, declare

EXAMPLE = """  fairseq-kd sources data --text news.de --output unseen
  fairseq-kd generate unseen --path T.pt --output corpus
  all of it, and the other direction: ./scripts/forward_translate.sh --help"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "make a data folder of plain text, to be translated"
    parser = declare(commands, "sources", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "it gives dictionaries, valid and test sets")
    add = parser.add_argument
    add("--text", metavar="FILE", type=Path, required=True, help="lines, plain or gzipped")
    add("--output", required=True, type=Path, help="the new folder")
    about = "what cuts the text; of the others: what has cut it (default: %(default)s)"
    add("--subwords", choices=SUBWORDS, default=SUBWORDS[0], help=about)
    about = "what cut DATA's sources (default: the one beside DATA)"
    add("--sentencepiece", metavar="MODEL", type=Path, help=about)


def run(given: argparse.Namespace) -> None:
    """Write the folder, and print what there is."""
    if given.sentencepiece and given.subwords != "sentencepiece":
        raise InputError(
            f"--sentencepiece {given.sentencepiece} and --subwords {given.subwords} are two ways "
            "to cut; give one"
        )
    from ..corpus.sources import write_sources
    from ..tasks.distillation import DistillationTask

    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    print(
        write_sources(
            task, given.text, given.output, given.subset, given.subwords, given.sentencepiece
        )
    )
