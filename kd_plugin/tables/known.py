"""Runs that the ledger has: they are not done again, though the folders of their steps are gone.

Scratch is purged, a machine changes, or another table asks for what this one trained: the ledger
and its translations are left, and a plan goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .gates import CLOSED, Found, gates, summary
from .ledger import CELL, Entry, by_translation, read_ledger
from .plan import TEACHER, Plan, Run, Told
from .steps import Step, kind_of
from .table import Gates, Table

FACTS = {  # that a kind of step measures; the first is always known behind it
    "agreement": ("agreement", "valid_nll", "valid_accuracy"),
    "fit": ("train_nll", "train_accuracy"),
    "speed": ("tps", "ctranslate2_tps", "megabytes"),
    "describe": ("text_entropy",),
}
Runs = dict[str, Entry]  # by the folder of the record
Cell = tuple[str, str, int]  # student, row, seed


@dataclass(frozen=True)
class Rest:
    """What is left of a plan, and lines of other tables that stand for runs of it, as its own."""

    plan: Plan
    lines: tuple[Entry, ...]


def rest_of(plan: Plan, table: Table, tell: bool, folder: Path, done: Collection[str]) -> Rest:
    """A plan without the steps of runs that the ledger has.

    A line stands for a run of the same translating step, of whichever table, if it has all that the
    table measures, and was compared with the same teacher. A run whose model must be trained again,
    because another needs it, is recorded again: another machine may have made another model. A
    gate is told from lines where these have its numbers; behind a closed one nothing is left.

    Args:
        plan: whole.
        table: the plan's.
        tell: gates close nothing.
        folder: of the ledger.
        done: the steps that are complete; they stay.

    Raises:
        InputError: the ledger is damaged.
    """
    steps = {step.folder: step for step in plan.steps}
    found = dict(_known(plan, steps, folder))
    told = {
        gate: Told(steps[gate].title, line, line.startswith(CLOSED) and not tell)
        for gate, line in _gates(plan, table, found, done)
    }
    closed = {gate for gate, one in told.items() if one.closed}
    known = {record: line for record, line in found.items() if record not in done}
    while True:
        wanted = [
            r.record for r in plan.runs if r.record not in known and closed.isdisjoint(r.steps)
        ]
        wanted += [
            of[-1] for of in plan.gates.values() if of[-1] not in told and closed.isdisjoint(of)
        ]
        left = _behind(wanted, steps, {*done, *told})
        again = [r.record for r in plan.runs if r.record in known and r.trained in left]
        if not again:
            break
        for record in again:
            del known[record]
    kept = [step for step in plan.steps if step.folder in left or step.folder in done]
    names = {step.folder for step in kept}
    cut = (replace(step, after=tuple(f for f in step.after if f in names)) for step in kept)
    lines = (
        _taken(_cell(plan, run), steps[run.record], known[run.record])
        for run in plan.runs
        if run.record in known and not _is_of(known[run.record], plan, run)
    )
    return Rest(replace(plan, steps=tuple(cut), told=told), tuple(lines))


def _known(plan: Plan, steps: Mapping[str, Step], folder: Path) -> Iterator[tuple[str, Entry]]:
    """The last line that stands for each run: of its own table, or else of another."""
    lines = by_translation(read_ledger(folder))
    for run in plan.runs:
        kinds = {kind_of(step): step for step in steps[run.record].after}
        found = [
            line
            for line in lines.get(kinds["translate"], [])
            if all(line["training"][FACTS[kind][0]] is not None for kind in FACTS.keys() & kinds)
            and line["compared"] == kinds.get("agreement", line["compared"])
            and all((folder / text).exists() for text in _texts(line))
        ]
        own = [line for line in found if _is_of(line, plan, run)]
        if found:
            yield run.record, (own or found)[-1]


def _texts(line: Entry) -> Iterator[str]:
    """The texts that a line names."""
    yield from line["translations"].values()
    yield line["references"]
    if line["origlang"]:
        yield line["origlang"]


def _is_of(line: Entry, plan: Plan, run: Run) -> bool:
    return _cell(plan, run).items() <= line.items()


def _taken(cell: Mapping[str, Any], record: Step, line: Entry) -> Entry:
    """A line as the plan's own table would have written it."""
    asked = set(map(kind_of, record.after))
    unasked = [fact for kind in FACTS.keys() - asked for fact in FACTS[kind]]
    training = line["training"] | dict.fromkeys(unasked)
    return {**line, **cell, "training": training}


def _gates(
    plan: Plan, table: Table, known: Runs, done: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What gates say whose numbers the ledger has: of a student's the last for which it has."""
    runs = {(run.student, run.row, run.seed): known.get(run.record) for run in plan.runs}
    for student, of_student in plan.gates.items():
        assert table.gates is not None
        for gate in reversed(of_student):
            if gate in done:
                break
            doubled = table.doubled(student) if gate == of_student[-1] else None
            found = _found(table, table.gates, student, runs, doubled)
            if found is not None:
                bounds = table.gates.gain, table.gates.teacher or 0, table.gates.memorised or 0
                yield gate, summary(list(gates(found, *bounds)))
                break


def _found(
    table: Table, wanted: Gates, student: str, runs: Mapping[Cell, Entry | None],
    doubled: str | None,
) -> Found | None:  # fmt: skip
    """The numbers of a student's gate, of the row ``doubled`` too; None where one is missing."""
    baseline = runs.get((student, table.baseline, 1))
    teacher = runs["", TEACHER, table.teacher.seed]
    numbers: dict[str, float | None] = {"baseline": _bleu(table, baseline)}
    if doubled:
        numbers["doubled"] = _bleu(table, runs.get((student, doubled, 1)))
    if wanted.teacher is not None:
        numbers["teacher"] = _bleu(table, teacher)
    if wanted.memorised is not None:
        for name in ("train", "valid"):
            numbers[name] = teacher["training"][f"{name}_accuracy"] if teacher else None
    found = {name: number for name, number in numbers.items() if number is not None}
    return Found(**found) if len(found) == len(numbers) else None


def _bleu(table: Table, line: Entry | None) -> float | None:
    """By the main decoding."""
    return float(line["scores"][next(iter(table.decoding))]["BLEU"]) if line else None


def _behind(wanted: Sequence[str], steps: Mapping[str, Step], stops: Collection[str]) -> set[str]:
    """Steps, and all before them that are not done."""
    found: set[str] = set()
    rest = list(wanted)
    while rest:
        folder = rest.pop()
        if folder not in found and folder not in stops:
            found.add(folder)
            rest += steps[folder].after
    return found


def _cell(plan: Plan, run: Run) -> dict[str, Any]:
    """What tells a run's line from others."""
    told = {**vars(plan), **vars(run)}
    return {name: told[name] for name in CELL}
