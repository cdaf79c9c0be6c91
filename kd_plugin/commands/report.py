"""``fairseq-kd report``: the page of a table, as far as it has come.

Beside the plan: table.md, table.tex (booktabs), table.csv, and table.html, one file with its
pictures. Scores, intervals and tests are made from the translations that the ledger keeps. A
published number stands beside ours; what is compared is the difference to the same table's
baseline.
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
    from ..files.output import explained
    from ..files.whole import write_atomically
    from ..tables.document import document
    from ..tables.locate import find_scale
    from ..tables.page import html
    from ..tables.plots import pictures
    from ..tables.progress import read_plan
    from ..tables.read import read_table
    from ..tables.render import as_csv, latex, markdown
    from ..tables.view import view

    plan = read_plan(given.plan)
    table = read_table(Path(plan["file"]))
    found = view(table, plan, given.plan.resolve().parent.parent, given.shuffles)
    blocks = document(found, find_scale(table, plan["scale"], plan["changes"]))
    output = given.output or given.plan.parent
    files = {
        "table.md": markdown(blocks),
        "table.tex": latex(blocks),
        "table.csv": as_csv(found),
        "table.html": html(blocks, pictures(found)),
    }
    with explained(output):
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomically(output / name, text)
    print(output / "table.html")
