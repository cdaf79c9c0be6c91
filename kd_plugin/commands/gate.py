"""``fairseq-kd gate``: is a comparison worth its time? Three conditions, each printed.

The baseline has converged: with twice its updates it gains less than --gain BLEU. The teacher is
--above BLEU above it. The teacher has not memorised its training set: its accuracy there is at
most --within points above that on the valid set (JSON of ``fairseq-kd agreement``). Exit status 1
where one does not hold, unless --tell is given. Tables have it as a step (docs/tables.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..host.ranges import Range, require
from .flags import declare

EXAMPLE = """  fairseq-kd gate --references test.en --baseline none.hyp --doubled none-twice.hyp \\
      --teacher teacher.hyp --train train.json --valid valid.json"""
BOUNDS = {"gain": 0.5, "above": 5.0, "within": 10.0}


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "is a comparison worth its time: converged, a better teacher, nothing memorised"
    parser = declare(commands, "gate", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("--references", type=Path, required=True, metavar="FILE")
    add("--baseline", type=Path, required=True, metavar="HYP", help="its translations")
    add("--teacher", type=Path, metavar="HYP", help="the teacher's")
    add("--doubled", type=Path, metavar="HYP", help="those of the baseline with twice the updates")
    for name in ("train", "valid"):
        about = f"fairseq-kd agreement --json of the teacher, on the {name} set"
        add(f"--{name}", type=Path, metavar="JSON", help=about)
    for name, bound in BOUNDS.items():
        add(f"--{name}", type=float, default=bound, metavar="N", help="(default: %(default)s)")
    add("--tell", action="store_true", help="exit status 0 whatever is found")
    add("--told", type=Path, metavar="FILE", help="also write the line here")
    add("--json", type=Path, metavar="FILE", help="also write everything here")


def run(given: argparse.Namespace) -> None:
    """Measure, print, write."""
    for name in BOUNDS:
        require(f"--{name}", getattr(given, name), Range(-1000, 1000))
    if (given.train is None) != (given.valid is None):
        here, there = ("train", "valid") if given.train else ("valid", "train")
        raise InputError(f"--{here} alone says nothing; give --{there} too")
    if not (given.teacher or given.doubled or given.train):
        raise InputError("nothing is to be compared; give --teacher, --doubled, or --train")
    from ..files.whole import write_atomically, write_json
    from ..tables.gates import CLOSED, Files, everything, gates, measured, summary

    files = Files(
        given.references, given.baseline, given.teacher, given.doubled, given.train, given.valid
    )
    found = list(gates(measured(files), given.gain, given.above, given.within))
    for gate in found:
        print(f"{gate.name}: {'open' if gate.holds else 'closed'}, {gate.told}")
    if given.json:
        write_json(given.json, everything(found))
    line = summary(found)
    if given.told:
        write_atomically(given.told, line + "\n")
    if line.startswith(CLOSED) and not given.tell:
        raise InputError(line)
