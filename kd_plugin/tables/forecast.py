"""What a table costs: rows x seeds x minutes, from the trainings that are timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from .progress import FINISHED, State, duration
from .table import Scale

Key = tuple[str, str]  # student, row


def forecast(plan: Mapping[str, Any], states: Mapping[str, State]) -> Iterator[str]:
    """A line for each row of each student, and one for all.

    A row that has no timed training is taken to last as long as the others of its student, or of
    all students. Trainings that are no step of the plan are in the ledger;
    those behind a gate that the ledger closes are left out.

    Args:
        plan: as :meth:`.plan.Plan.everything` gives it.
        states: of its steps, by folder.
    """
    rows: dict[Key, list[str]] = {}
    closed = {gate for gate, told in plan["told"].items() if told["closed"]}
    for run in plan["runs"]:
        if run["student"] and closed.isdisjoint(run["steps"]):
            rows.setdefault((run["student"], run["row"]), []).append(run["trained"])
    timed = {
        key: [states[f].seconds for f in folders if f in states and states[f].what == FINISHED]
        for key, folders in rows.items()
    }
    kept = {key: sum(f not in states for f in folders) for key, folders in rows.items()}
    left = 0.0
    for key, folders in rows.items():
        student, row = key
        seconds = _expected(key, timed)
        each = f", about {duration(seconds)} each" if seconds is not None else ""
        told = f"{row}, {student}: {len(folders)} seed{'s' * (len(folders) > 1)}"
        yield f"  {told}{_in_ledger(kept[key])}{each}"
        left += (seconds or 0) * (len(folders) - len(timed[key]) - kept[key])
    trainings, done = (sum(map(len, of.values())) for of in (rows, timed))
    rest = f"{done} timed; the rest takes about {duration(left)}, one after the other"
    told = f"{trainings} students{_in_ledger(sum(kept.values()))}"
    about = rest if done else "none is timed yet"
    if done + sum(kept.values()) == trainings:
        about = "nothing is left to train"
    yield f"{plan['table']}, {plan['scale']}, {plan['data']}: {told}, {about}"


def _in_ledger(number: int) -> str:
    return f", {number} in the ledger" if number else ""


def replaced(scale: Scale) -> Iterator[str]:
    """A line for each model that a scale, or a call, puts in the place of a table's."""
    by = f"scale {scale.name} or a flag of this call"
    for who, model in scale.models.items():
        whose = "the teacher" if who == "teacher" else "every student"
        yield f"{whose} is {model}, by {by}, whatever the table says"
    for student, model in scale.students.items():
        yield f"student {student} is {model}, by {by}, whatever the table says"


def _expected(key: Key, timed: Mapping[Key, Sequence[float]]) -> float | None:
    alike = [s for (student, _), of in timed.items() if student == key[0] for s in of]
    every = [s for of in timed.values() for s in of]
    return next((mean(known) for known in (timed[key], alike, every) if known), None)
