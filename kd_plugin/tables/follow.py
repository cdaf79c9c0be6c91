"""What is told of a table while its steps run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .forecast import forecast
from .progress import FAILED, FINISHED, State, events, log_end, look_at_all, running
from .steps import FIRST, GATE, kind_of

PAUSE, TELL = 2.0, 8.0  # seconds between looks, and at least between lines on what runs


def follow(plan: Mapping[str, Any], output: Path) -> None:
    """Print events, what rows cost once gates are open, and now and then what runs."""
    steps = plan["steps"]
    gates = [
        step["folder"]
        for step in steps
        if kind_of(step["folder"]) == GATE and not step["title"].startswith(FIRST)
    ]
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
