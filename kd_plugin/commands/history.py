"""``fairseq-kd history``: the commands that made a corpus or a data folder, from it alone.

A shell script: for each step a comment with the sha256 of what it wrote, the files that it read
with theirs and the version that made it, and the command that makes it again, under a name of its
own (corpus1, data1, ...). Names in capitals are not known. Data folders tell where binarise, mix,
noise, sources or describe --write-prefixes made them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import add_languages, declare

EXAMPLE = """  fairseq-kd history corpus
  fairseq-kd history mixed > again.sh"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "print the commands that made a corpus or a data folder"
    parser = declare(commands, "history", summary, __doc__, EXAMPLE, run, host=False)
    parser.add_argument(
        "corpus", metavar="CORPUS", type=Path, help="a corpus, all shards, or a data folder"
    )
    parser.add_argument("--subset", default="train", help="(default: %(default)s)")
    add_languages(parser, "CORPUS")


def run(given: argparse.Namespace) -> None:
    """Print the chain."""
    from ..corpus.history import history

    languages = given.source_lang, given.target_lang
    print("\n".join(history(given.corpus, given.subset, *languages)))
