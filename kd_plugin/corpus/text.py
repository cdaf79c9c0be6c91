"""``fairseq-kd text``: the best translations of a corpus as plain text, a line a sentence.

Subwords are joined. A sentence that could not be decoded is an empty line, so that lines match the
source's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..commands.flags import declare
from ..files.whole import write_atomically
from .records import find_corpus, read_corpus

EXAMPLE = "  fairseq-kd text output --subset test -s de -t en --output test.hyp"


def add_command(commands: Any) -> None:
    """Register the command."""
    parser = declare(commands, "text", "write a corpus as plain text", __doc__, EXAMPLE)
    add = parser.add_argument
    add("corpus", metavar="CORPUS", type=Path, help="output of fairseq-kd generate, all shards")
    add("--output", required=True, type=Path)
    add("--subset", default="test", help="(default: %(default)s)")
    add("-s", "--source-lang", required=True)
    add("-t", "--target-lang", required=True)
    parser.set_defaults(run=text)


def text(given: argparse.Namespace) -> None:
    """Join SentencePiece's pieces: a space is what ``\\u2581`` stands for."""
    name = f"{given.subset}.{given.source_lang}-{given.target_lang}"
    lines = []
    for record in read_corpus(find_corpus(given.corpus, name)):
        best = record["hypotheses"][0]["text"] if record["hypotheses"] else ""
        lines.append(best.replace(" ", "").replace("\u2581", " ").strip())
    write_atomically(given.output, "".join(f"{line}\n" for line in lines))
    print(f"{given.output}: {len(lines)} lines")
