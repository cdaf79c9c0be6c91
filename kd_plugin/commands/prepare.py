"""``fairseq-kd prepare``: from raw parallel text to cleaned lines cut into subwords.

A data set is a YAML file (``configs/data/NAME.yaml``). Its text is made by a generator (the toy) or
read from a folder, plain or gzipped: a file a split and language, or several of which a set is put
together; one sentence a line, or WMT's and IWSLT's .sgm and .xml. White space is normalised,
so that no line holds a tab, a carriage return or a Unicode line separator. Training pairs that
cannot be learned from are dropped and counted by reason; valid and test sets keep every line.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = "  fairseq-kd prepare configs/data/multi30k.yaml --from multi30k --output text"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "clean raw parallel text and cut it into subwords"
    parser = declare(commands, "prepare", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("config", metavar="CONFIG", type=Path, help="a data set of configs/data")
    add("--output", required=True, type=Path, help="new folder: raw/, subwords/ and manifest.json")
    add("--from", dest="folder", type=Path, help="folder with the raw files")
    add("--download", action="store_true", help="fetch them from where CONFIG says they are public")
    add("--train-pairs", type=int, help="use only the first so many training pairs")
    limit = "a trial: use only the first N pairs of each split, and as many subwords as they allow"
    add("--limit", metavar="N", type=int, help=limit)
    halves = "cut the training set in two by source; the second half becomes the last test set"
    add("--halves", action="store_true", help=halves)


def run(given: argparse.Namespace) -> None:
    """Prepare, and print what there is."""
    from ..corpus.prepare import prepare

    found = (given.folder, given.download, given.train_pairs, given.limit, given.halves)
    print(prepare(given.config, given.output, *found))
