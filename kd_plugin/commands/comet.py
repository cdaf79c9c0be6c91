"""``fairseq-kd comet``: COMET scores of translations, for ``score --segments comet``.

For each file HYP a file HYP.comet: what it is in three lines, then a number for each sentence.
Needs ``pip install unbabel-comet`` and a model on disk; nothing is downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = """  fairseq-kd comet --model models/wmt22-comet-da/checkpoints/model.ckpt \\
      --sources test.de --references test.en word_kd.1.hyp word_kd.2.hyp"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "COMET scores of translations, sentence by sentence"
    parser = declare(commands, "comet", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("hypotheses", nargs="+", metavar="HYP", help="files of translations")
    add("--model", type=Path, required=True, help="COMET's checkpoint")
    add("--sources", required=True, metavar="FILE", help="the sources, one sentence a line")
    add("--references", metavar="FILE", help="leave it out for a model that needs none")
    add("--name", default="COMET", help="of the metric, in tables (default: %(default)s)")
    add("--batch-size", type=int, default=16, help="(default: %(default)s)")
    add("--gpus", type=int, default=0, help="0 is the CPU (default: %(default)s)")


def run(given: argparse.Namespace) -> None:
    """Score, and print what was written."""
    from ..report.comet import score_with_comet

    texts = given.sources, given.references, given.hypotheses
    settings = given.name, given.batch_size, given.gpus
    print("\n".join(score_with_comet(given.model, *texts, *settings)))
