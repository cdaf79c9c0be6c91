"""``fairseq-kd progress``: how far a table is, step by step.

It reads the files that the steps leave and may be asked at any time, from any machine that sees
the folder. --follow prints what begins, ends and fails (with the end of its log) until all is done
or it is stopped, and every ten seconds what runs: at a prompt in a line that replaces itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = "  fairseq-kd progress reproduced/toy.paper.toy/plan.json"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "how far a table is"
    parser = declare(commands, "progress", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("plan", metavar="PLAN", type=Path, help="plan.json of fairseq-kd plan")
    add("--output", type=Path, metavar="FOLDER", help="of the steps (default: the plan's)")
    add("--follow", action="store_true", help="go on until all is done")


def run(given: argparse.Namespace) -> None:
    """Print a line for each step, or follow."""
    from ..tables.follow import follow
    from ..tables.progress import listing, look_at_all, read_plan, summary

    plan = read_plan(given.plan)
    steps, output = plan["steps"], given.output or given.plan.resolve().parent.parent
    states = look_at_all(steps, output)
    if given.follow:
        follow(plan, output)
        return
    print("\n".join(listing(steps, states)))
    print(f"{plan['table']}, {plan['scale']}, {plan['data']}: {summary(steps, states)}")
