"""How far a table is, from the files that its steps leave: done, running, failed, and what is left.

Nothing here starts or ends a step; any number of processes may look, on any machine that sees the
folder.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files.schema import read_json
from .steps import DONE

LEFT, RUNNING, FAILED, FINISHED = "left", "running", "failed", "done"
ENOUGH = 0.1  # of the shares that are guessed must have been timed
STEP = {
    "folder": re.compile(r"steps/[\w-]+"),
    "title": str,
    "share": (int, float),
    "after": [str],
    "model": bool,
}
RUN = {
    "student": str, "row": str, "seed": int, "record": str, "trained": str, "steps": [str],
    "needed": [str],
}  # fmt: skip
PLAN = {
    "table": str, "scale": str, "data": str, "seeds": int, "file": str, "changes": {str: str},
    "steps": [STEP], "runs": [RUN],
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """Where a step is; ``seconds`` that it took or has run, and what is said of it.

    ``whole`` and ``rest``: seconds that a running training takes in all, and from now on, if it
    keeps its speed.
    """

    what: str
    seconds: float = 0
    said: str = ""
    whole: float | None = None
    rest: float | None = None


def read_plan(path: Path) -> dict[str, Any]:
    """A plan of ``fairseq-kd plan``.

    Raises:
        InputError: it is none.
    """
    plan: dict[str, Any] = read_json(path, PLAN, "write it with fairseq-kd plan")
    return {"told": {}} | plan


def look(folder: Path, now: float | None = None) -> State:
    """The state of a step's folder."""
    done, began = folder / DONE, folder / "began"
    if done.exists():
        told = folder / "told"
        word = told.read_text("utf-8", "replace").strip() if told.exists() else ""
        return State(FINISHED, float(done.read_text().strip() or 0), word)
    if not began.exists():
        return State(LEFT)
    failed = folder / "failed"  # a step that begins removes it; its last children may hold the lock
    if failed.exists():
        return State(FAILED, 0, failed.read_text("utf-8", "replace").strip())
    if _is_locked(folder / ".lock"):
        log = folder / "model" / "train.log"
        said = [word for word in (began.read_text().strip(), _far(folder, log)) if word]
        seconds = max(0, (now or time.time()) - began.stat().st_mtime)
        return State(RUNNING, seconds, ", ".join(said), *_forecast(log))
    return State(LEFT)


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with open(path, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _far(folder: Path, log: Path) -> str:
    """The update that a training has reached, or the share of the command that runs now."""
    updates = re.findall(rb"num_updates[=: ]+(\d+)", _tail(log))
    if updates:
        return f"update {int(updates[-1]):,}"
    shares = re.findall(rb"(\d+%)\|", _tail(folder / "log"))
    if not shares or shares[-1] == b"100%":  # of a step's command before the one that runs
        return ""
    return f"a command {shares[-1].decode()}"


def _forecast(log: Path) -> tuple[float, float] | tuple[None, None]:
    """Seconds of a training in all, and from now on, by the updates a second that it last told."""
    told = re.findall(rb"ups=([\d.]+),.*num_updates=(\d+)", _tail(log))
    limit = re.search(rb"'max_update': (\d+)", _head(log))
    if not told or not limit or not float(told[-1][0]):
        return None, None
    speed, updates, whole = float(told[-1][0]), int(told[-1][1]), int(limit[1])
    return whole / speed, max(0, whole - updates) / speed


def _head(path: Path, size: int = 20_000) -> bytes:
    if not path.exists():
        return b""
    with open(path, "rb") as file:
        return file.read(size)


def _tail(path: Path, size: int = 2000) -> bytes:
    """The last bytes of a file; none where there is no file."""
    if not path.exists():
        return b""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()


def log_end(path: Path, lines: int = 15) -> list[str]:
    """The last lines of a log, each cut at 300 characters, below a line that names it."""
    text = _tail(path, 300 * lines).decode("utf-8", "replace").rstrip()
    last = [line.rpartition("\r")[2][:300] for line in text.split("\n")[-lines:]]
    return [f"--- the end of {path}:", *last, "---"] if text else []


def look_at_all(steps: Sequence[Mapping[str, Any]], output: Path) -> dict[str, State]:
    """The states of a plan's steps, by folder."""
    return {step["folder"]: look(output / step["folder"]) for step in steps}


def seconds_left(steps: Sequence[Mapping[str, Any]], states: Mapping[str, State]) -> float | None:
    """About how long the rest takes; None before enough is known to tell.

    A step is taken to last as long as those of its kind: the done ones, and trainings that run, by
    their speed. Where there is none, it has its share of what these took, unless too little of
    all was timed. The rest is spread over as many workers as are running.
    """
    took: dict[str, list[float]] = defaultdict(list)
    timed = guessed = 0.0  # shares
    for step in steps:
        state = states[step["folder"]]
        whole = state.seconds if state.what == FINISHED else state.whole
        if whole is not None:
            took[_kind(step)].append(whole)
            timed += step["share"]
    if not timed:
        return None
    seconds = sum(map(sum, took.values()))
    rest = 0.0
    for step in steps:
        state, known = states[step["folder"]], took[_kind(step)]
        if state.what not in (LEFT, RUNNING) or _is_held_up(step, steps, states):
            continue
        if not known:
            guessed += step["share"]
        whole = sum(known) / len(known) if known else seconds * step["share"] / timed
        rest += max(0.0, whole - state.seconds) if state.rest is None else state.rest
    if timed < ENOUGH * guessed:
        return None
    return rest / max(1, sum(state.what == RUNNING for state in states.values()))


def _kind(step: Mapping[str, Any]) -> str:
    return f"{step['folder'].rpartition('-')[0]} {step['share']}"


def _is_held_up(
    step: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], states: Mapping[str, State]
) -> bool:
    """Whether a step waits for one that failed."""
    by_folder = {one["folder"]: one for one in steps}
    return any(
        states[folder].what == FAILED
        or (states[folder].what == LEFT and _is_held_up(by_folder[folder], steps, states))
        for folder in step["after"]
    )


def summary(steps: Sequence[Mapping[str, Any]], states: Mapping[str, State]) -> str:
    """``3 of 24 steps done, 1 failed, about 5 min left``."""
    count = {what: sum(s.what == what for s in states.values()) for what in (FINISHED, FAILED)}
    text = f"{count[FINISHED]} of {len(steps)} steps done"
    if count[FAILED]:
        text += f", {count[FAILED]} failed"
    left = seconds_left(steps, states)
    if left is not None and count[FINISHED] + count[FAILED] < len(steps):
        text += f", about {duration(left)} left"
    return text


def duration(seconds: float) -> str:
    """In words that fit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def listing(steps: Sequence[Mapping[str, Any]], states: Mapping[str, State]) -> Iterator[str]:
    """A line for each step."""
    for step in steps:
        state = states[step["folder"]]
        time_of = duration(state.seconds) if state.what in (FINISHED, RUNNING) else ""
        said = f": {state.said}" if state.said else ""
        yield f"{state.what:8}{time_of:>7}  {step['title']}{said}  ({step['folder']})"


def events(
    steps: Sequence[Mapping[str, Any]], before: Mapping[str, State], after: Mapping[str, State]
) -> Iterator[tuple[str, str]]:
    """The folder of each step whose state has changed, and a line on it."""
    words = {RUNNING: "begins", FINISHED: "done", FAILED: "failed"}
    for step in steps:
        old, new = before[step["folder"]], after[step["folder"]]
        again = new.what == FAILED and old.said != new.said
        if (old.what == new.what and not again) or new.what not in words:
            continue
        line = f"{words[new.what]}: {step['title']}"
        if new.what == FINISHED:
            line += f", {duration(new.seconds)} ({summary(steps, after)})"
        yield step["folder"], line + (f": {new.said}" if new.said else "")


def running(steps: Sequence[Mapping[str, Any]], states: Mapping[str, State]) -> str:
    """What runs now, and what is left, in a line; nothing where nothing runs."""
    lines = []
    for step in steps:
        state = states[step["folder"]]
        if state.what == RUNNING:
            said = f", {state.said}" if state.said else ""
            lines.append(f"{step['title']} ({duration(state.seconds)}{said})")
    return f"{'; '.join(lines)}; {summary(steps, states)}" if lines else ""
