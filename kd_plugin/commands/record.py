"""``fairseq-kd record``: a line of the ledger for one run of a table.

The last step of each run of ``scripts/reproduce.sh``: its translations are scored and kept
compressed, with what its training says of itself, versions and commit.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .flags import declare

EXAMPLE = """  fairseq-kd record --ledger reproduced --table mine --scale paper --data de-en \\
      --row word_kd --student small --seed 1 --model mine/word_kd --references test.en \\
      --translation beam5=mine/word_kd.hyp"""

MEASURED = {
    "agreement": "JSON of fairseq-kd agreement, on the valid set",
    "fit": "JSON of fairseq-kd agreement, on the text that the model learnt",
    "speed": "JSON of fairseq-kd speed",
    "text": "JSON of fairseq-kd describe, on that text",
}


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "keep what came out of a run"
    parser = declare(commands, "record", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add("--ledger", type=Path, required=True, metavar="FOLDER", help="of ledger.jsonl")
    for name in ("table", "scale", "data", "student", "row"):
        add(f"--{name}", required=True)
    add("--seed", type=int, required=True)
    add("--model", type=Path, required=True, metavar="SAVE", help="folder of the training")
    add("--rule", default="last", help="by which its checkpoint was chosen (default: last)")
    add("--references", type=Path, required=True, metavar="FILE")
    add(
        "--translation",
        action="append",
        required=True,
        metavar="NAME=FILE",
        help="of the references' sources; give the flag once for each way of decoding",
    )
    for name, about in MEASURED.items():
        add(f"--{name}", type=Path, metavar="FILE", help=about)
    about = "scored translations of generate, all of one way of decoding; give it for each test set"
    add("--searched", type=Path, action="append", default=[], metavar="CORPUS", help=about)
    about = "original language of each of the references"
    add("--origlang", type=Path, metavar="FILE", help=about)
    about = "a step that it needed, beside its training; give the flag once for each"
    add("--needed", type=Path, action="append", default=[], metavar="FOLDER", help=about)


def run(given: argparse.Namespace) -> None:
    """Score, keep, and print the scores."""
    from ..tables.facts import Files
    from ..tables.ledger import CELL
    from ..tables.record import record

    translations = {}
    for text in given.translation:
        name, _, file = text.partition("=")
        if not name or not file:
            raise InputError(f"--translation {text} is not understood; give NAME=FILE")
        translations[name] = Path(file)
    cell = {name: getattr(given, name) for name in CELL}
    files = Files(**{name: getattr(given, name) for name in MEASURED}, searched=given.searched)
    entry = record(
        given.ledger, cell, given.model, translations, given.references, given.rule, files,
        given.origlang, given.needed,
    )  # fmt: skip
    for name, scores in entry["scores"].items():
        print(name, *(f"{metric} {value:.2f}" for metric, value in scores.items()))
