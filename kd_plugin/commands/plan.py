"""``fairseq-kd plan``: the steps of a paper's table, as commands.

A table is a YAML file (``configs/tables/NAME.yaml``; docs/tables.md). Each step has a folder
``steps/KIND-HASH`` in --output, named by a hash of its commands and of what they read, with the
commands in run.sh: what two rows or two tables share is one step. The plan is written to
TABLE.SCALE.DATA/plan.json there. Runs that ledger.jsonl in --output has are not done again, even
where their folders are gone. Every command line is checked by the parser of its program. What it
costs, rows x seeds x minutes, is told on standard error as far as trainings are timed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from .checkpoint import rule
from .flags import declare, require_positive

EXAMPLE = """  fairseq-kd plan toy --scale smoke --output reproduced
  fairseq-kd plan mine.yaml --data mine-data.yaml --from corpus --list"""
SCALES = ("smoke", "small", "paper")
CHANGES = ("teacher", "student", "checkpoint", "rows")


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "the steps of a paper's table"
    parser = declare(commands, "plan", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add("table", metavar="TABLE", help="a name of configs/tables, or a YAML file")
    add("--data", metavar="NAME", help="another data set: a name of configs/data, or a YAML file")
    add("--from", dest="origin", metavar="FOLDER", help="folder with the raw files")
    add("--download", action="store_true", help="fetch them, where the data set is public")
    add("--scale", choices=SCALES, default="paper", help="(default: %(default)s)")
    add(
        "--rows",
        metavar="NAMES",
        help="of these rows alone: ROW or STUDENT/ROW, with commas between them; the baseline, and "
        "what gates and other rows stand on, come with them (default: all)",
    )
    add("--seeds", type=int, metavar="N", help="students of each kind (default: the scale's)")
    named = "a name of configs/models, or a file (default: what table and scale say)"
    add("--teacher", metavar="MODEL", help=f"of the teacher: {named}")
    add("--student", metavar="MODEL", help=f"of every student: {named}")
    add(
        "--checkpoint-rule",
        dest="checkpoint",
        metavar="RULE",
        type=rule,
        help="of every model: last, average:K or best-bleu (default: what table and scale say)",
    )
    add("--output", type=Path, metavar="FOLDER", help="of all tables' steps; gets the plan")
    add(
        "--done",
        type=Path,
        metavar="FOLDER",
        help="whose trainings tell what rows take (default: --output)",
    )
    add("--list", action="store_true", help="write nothing, print the commands")


def run(given: argparse.Namespace) -> None:
    """Compile, check, and write or print."""
    from ..tables.forecast import forecast, replaced
    from ..tables.known import rest_of
    from ..tables.ledger import append
    from ..tables.locate import find_data, find_models, find_scale, find_table
    from ..tables.parsing import check
    from ..tables.part import part_of
    from ..tables.plan import compile_table
    from ..tables.progress import look_at_all
    from ..tables.steps import DONE

    if given.seeds is not None:
        require_positive(given, "seeds")
    if given.output is None and not given.list:
        raise InputError("--output is not given; name a folder, or print the commands with --list")
    table, path = find_table(given.table)
    changes = {name: getattr(given, name) for name in CHANGES if getattr(given, name) is not None}
    scale = find_scale(table, given.scale, changes)
    table, scale = part_of(table, scale, given.rows)
    name = given.data or scale.data or table.data
    data = find_data(table, name, given.origin, given.download, path.parent)
    models = find_models(table, scale, path.parent)
    plan = compile_table(table, scale, data, models, given.seeds)
    check(plan, models, given.parser)
    if given.list:
        print("\n".join(step.script() for step in plan.steps), end="")
        return
    folder = given.done or given.output
    complete = [step.folder for step in plan.steps if (folder / step.folder / DONE).exists()]
    rest = rest_of(plan, table, scale.gates_tell, folder, complete)
    if rest.lines:
        append(given.output, *rest.lines)
    written, everything = rest.plan.write(given.output, path, changes), rest.plan.everything()
    states = look_at_all(everything["steps"], folder)
    print("\n".join([*replaced(scale), *forecast(everything, states)]), file=sys.stderr)
    print(written)
