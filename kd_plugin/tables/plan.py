"""A table as steps: data, teacher, its text and stores, students, translations, the ledger's lines.

:func:`compile_table` is a pure function of what the files say; nothing is read and nothing run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files.whole import to_json, write_atomically
from . import measuring, texts, training
from .measuring import Cell, record
from .steps import Step
from .table import Scale, Table
from .work import Data, Model, Teachers, Text, Work

TEACHER = "teacher"  # the row of the teacher itself


@dataclass(frozen=True)
class Run:
    """One cell of the table: a row's student of one seed, and the steps that make it."""

    student: str
    row: str
    seed: int
    record: str  # the folder of its last step
    trained: str  # that of its training
    steps: tuple[str, ...]  # all that it waits for, in order
    needed: tuple[str, ...]  # those of teachers, text, stores and earlier trainings among them


@dataclass(frozen=True)
class Told:
    """A gate whose numbers the ledger has: its title, what it says, whether it closes rows."""

    title: str
    line: str
    closed: bool


@dataclass(frozen=True)
class Plan:
    """All steps of a table in an order in which they can be done, and its runs."""

    table: str
    scale: str
    data: str
    seeds: int
    steps: tuple[Step, ...]
    runs: tuple[Run, ...]
    gates: Mapping[str, tuple[str, ...]]  # their steps' folders by student, in order
    told: Mapping[str, Told] = field(default_factory=dict)  # gates that are no step, by folder

    def everything(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "table": self.table,
            "scale": self.scale,
            "data": self.data,
            "seeds": self.seeds,
            "steps": [vars(step) for step in self.steps],
            "runs": [vars(run) for run in self.runs],
            "told": {gate: vars(told) for gate, told in self.told.items()},
        }

    def write(self, output: Path, file: Path, changes: Mapping[str, str]) -> Path:
        """Each step's commands as run.sh in its folder, and plan.json, whose path is returned.

        Args:
            output: folder of all tables.
            file: the table's.
            changes: what a user asked for instead of the table's, by key of a scale.
        """
        for step in self.steps:
            folder = output / step.folder
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "run.sh", step.script())
        folder = output / f"{self.table}.{self.scale}.{self.data}"
        folder.mkdir(exist_ok=True)
        everything = {**self.everything(), "file": str(file), "changes": dict(changes)}
        write_atomically(folder / "plan.json", to_json(everything))
        return folder / "plan.json"


def compile_table(
    table: Table, scale: Scale, data: Data, models: Mapping[str, Model], seeds: int | None = None
) -> Plan:
    """The plan of a table.

    Args:
        table: checked.
        scale: what is changed of it.
        data: the data set to run on.
        models: by the names that table and scale use.
        seeds: students of each kind; otherwise what the scale says.

    Raises:
        InputError: what the table says cannot be done.
    """
    work, count = Work(table, scale, data, models), seeds or scale.seeds
    gold = texts.prepare(work)
    teachers = training.train_teachers(work, gold)
    runs: list[Run] = []

    def run(cell: Cell) -> None:
        step, needed = record(work, gold, teachers, cell)
        steps = work.needed(step.folder)
        own = cell.trained.step.folder
        runs.append(Run(cell.student, cell.row, cell.seed, step.folder, own, steps, needed))

    run(Cell("", TEACHER, table.teacher.seed, teachers.models[0], None))
    gates = _gates(work, gold, teachers)
    for seed in range(1, count + 1):
        for row in table.rows.values():
            if row.later is not None or seed > (row.seeds or seed):
                continue
            for name in row.students:
                if name not in work.students:
                    continue
                work.gate = gates[name][-1] if name in gates else None
                trained = training.train(work, gold, teachers, row, table.students[name], seed)
                work.gate = None
                run(Cell(name, row.name, seed, trained, row))
    steps = tuple(work.steps.values())
    return Plan(table.name, scale.name, data.name, count, steps, tuple(runs), gates)


def _gates(work: Work, gold: Text, teachers: Teachers) -> dict[str, tuple[str, ...]]:
    """The folders of the steps behind which a student's rows stand, in order, where there are any.

    What the teacher decides is asked before the baseline is trained with twice its updates. A step
    that is one student's baseline and another's doubled one waits for no gate.
    """
    table, wanted = work.table, work.table.gates
    if wanted is None:
        return {}

    def cell(student: str, name: str) -> Cell:
        row, of = table.rows[name], table.students[student]
        return Cell(student, name, 1, training.train(work, gold, teachers, row, of, 1), row)

    baselines = {student: cell(student, table.baseline) for student in work.students}
    found: dict[str, tuple[str, ...]] = {}
    of_teacher = wanted.teacher is not None or wanted.memorised is not None
    for student, baseline in baselines.items():
        if of_teacher:
            found[student] = (measuring.gate(work, gold, teachers, baseline, None).folder,)
        if doubled := table.doubled(student):
            work.gate = found[student][0] if of_teacher else None
            twice = cell(student, doubled)
            work.gate = None
            last = measuring.gate(work, gold, teachers, baseline, twice)
            found[student] = (*found.get(student, ()), last.folder)
    return found
