"""``fairseq-kd describe``: what teacher corpora are like, beside the references.

For the references of DATA and the best hypotheses of each CORPUS: sentences, words, different
words, entropy of words and of pairs of words in bits (and their difference, the entropy of a word
given the one before), words for each word of the source, copies of the source, sentences equal to
their reference, BLEU and chrF, and these of the hypotheses likest the references (oracle). A
Markdown table on standard output. (A model's parameters: fairseq-kd parameters.)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import SUBWORDS
from .flags import add_data_flags, declare
from .score import TOKENIZERS

EXAMPLE = "  fairseq-kd describe data corpus interpolated --json text.json"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "types, entropy, lengths and overlap of teacher corpora"
    parser = declare(commands, "describe", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "with the references")
    add = parser.add_argument
    add("corpora", metavar="CORPUS", nargs="*", type=Path, help="teacher corpora, all shards")
    add("--subwords", choices=SUBWORDS, default=SUBWORDS[0], help="(default: %(default)s)")
    add("--tokenize", choices=TOKENIZERS, default="13a", help="of BLEU (default: 13a)")
    add("--json", metavar="FILE", help="also write everything here")


def run(given: argparse.Namespace) -> None:
    """Describe, print and write."""
    for path in map(Path, (given.data, *given.corpora)):
        if path.is_file():
            raise InputError(
                f"{path} is a file, and corpora are folders; for a model give fairseq-kd "
                f"parameters {path}"
            )
    from ..corpus.describe import describe, markdown
    from ..files.whole import write_json
    from ..tasks.distillation import DistillationTask

    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    rows = describe(task, given.corpora, given.subset, given.subwords, given.tokenize)
    print(markdown(rows))
    if given.json:
        write_json(given.json, rows)
