"""``fairseq-kd report``: the page of a table, as far as it has come.

Beside the plan: table.md with its pictures as .svg files, table.tex (booktabs), table.csv, and
table.html, one file with the pictures in it. Scores, intervals and tests are made from the
translations that the ledger keeps. A published number stands beside ours; what is compared is the
difference to the same table's baseline.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import add_shuffles, declare, require_shuffles

EXAMPLE = "  fairseq-kd report reproduced/toy.paper.toy/plan.json"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "the page of a table: Markdown, LaTeX, CSV, HTML"
    parser = declare(commands, "report", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("plan", metavar="PLAN", type=Path, help="plan.json of fairseq-kd plan")
    add("--output", type=Path, metavar="FOLDER", help="of the page (default: the plan's)")
    add_shuffles(parser)


def run(given: argparse.Namespace) -> None:
    """Score, and write the four files."""
    require_shuffles(given)
    from ..tables.report import write_report

    print(write_report(given.plan, given.output or given.plan.parent, given.shuffles))
