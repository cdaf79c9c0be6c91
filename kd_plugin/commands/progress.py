"""``fairseq-kd progress``: how far a table is, step by step.

It reads the files that the steps leave and may be asked at any time, from any machine that sees
the folder. --follow prints what begins, ends and fails (with the end of its log) until all is done
or it is stopped, and every ten seconds what runs: at a prompt in a line that replaces itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = "  fairseq-kd progress reproduced/toy.paper.toy/plan.json"
PAUSE, TELL = 2.0, 8.0  # seconds between looks, and at least between lines on what runs


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
    from ..tables.progress import listing, look_at_all, read_plan, summary

    plan = read_plan(given.plan)
    steps, output = plan["steps"], given.output or given.plan.resolve().parent.parent
    states = look_at_all(steps, output)
    if given.follow:
        follow(plan, output)
        return
    print("\n".join(listing(steps, states)))
    print(f"{plan['table']}, {plan['scale']}, {plan['data']}: {summary(steps, states)}")


def follow(plan: Any, output: Path) -> None:
    """Print events, what rows cost once gates are open, and now and then what runs."""
    from ..tables.forecast import forecast
    from ..tables.progress import (
        FAILED,
        FINISHED,
        State,
        events,
        log_end,
        look_at_all,
        running,
    )

    steps = plan["steps"]
    began = told = time.monotonic()
    states = {step["folder"]: State("left") for step in steps}
    known = look_at_all(steps, output)
    states |= {folder: state for folder, state in known.items() if state.what in (FINISHED, FAILED)}
    while True:
        found = look_at_all(steps, output)
        minutes = f"[{(time.monotonic() - began) / 60:.0f} min]"
        for step, line in events(steps, states, found):
            say(f"{minutes} {line}")
            if found[step].what == FAILED:
                for said in log_end(output / step / "log"):
                    say(said)
            told = time.monotonic()
        gates = [folder for folder in found if "/gate-" in folder]
        if any(found[f].what == FINISHED != states[f].what for f in gates):
            say("\n".join(forecast(plan, found)))
        states = found
        if all(state.what == FINISHED for state in states.values()):
            return
        now = running(steps, states)
        if now and time.monotonic() - told > TELL:
            say(f"{minutes} runs: {now}", passing=True)
            told = time.monotonic()
        time.sleep(PAUSE)


def say(text: str, passing: bool = False) -> None:
    """A line on standard error; a passing one makes room for the next at a prompt."""
    clear, end = ("\r\033[K", "" if passing else "\n") if sys.stderr.isatty() else ("", "\n")
    print(clear + text, end=end, file=sys.stderr, flush=True)
