"""``fairseq-kd text``: the best translations of a corpus as plain text, a line a sentence.

Subwords are joined. A sentence that could not be decoded is an empty line, so that lines match the
source's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..corpus.text import write_text
from .flags import declare

EXAMPLE = "  fairseq-kd text output --subset test -s de -t en --output test.hyp"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "write a corpus as plain text"
    parser = declare(commands, "text", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("corpus", metavar="CORPUS", type=Path, help="output of fairseq-kd generate, all shards")
    add("--output", required=True, type=Path)
    add("--subset", default="test", help="(default: %(default)s)")
    add("-s", "--source-lang", required=True)
    add("-t", "--target-lang", required=True)


def run(given: argparse.Namespace) -> None:
    """Write the file, and print how many lines it has."""
    name = f"{given.subset}.{given.source_lang}-{given.target_lang}"
    lines = write_text(given.corpus, name, given.output)
    print(f"{given.output}: {lines} lines")
