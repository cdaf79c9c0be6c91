"""A table as steps: data, teacher, its text and stores, students, translations, the ledger's lines.

:func:`compile_table` is a pure function of what the files say; nothing is read and nothing run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import texts, training
from .flags import words
from .steps import ROOT, Command, Step
from .table import Row, Scale, Table
from .work import Data, Model, Text, Trained, Work

TEACHER = "teacher"  # the row of the teacher itself


@dataclass(frozen=True)
class Run:
    """One cell of the table: a row's student of one seed, and the steps that make it."""

    student: str
    row: str
    seed: int
    record: str  # the folder of its last step
    steps: tuple[str, ...]  # all that it needs, in order


@dataclass(frozen=True)
class Plan:
    """All steps of a table in an order in which they can be done, and its runs."""

    table: str
    scale: str
    data: str
    seeds: int
    steps: tuple[Step, ...]
    runs: tuple[Run, ...]

    def everything(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "table": self.table,
            "scale": self.scale,
            "data": self.data,
            "seeds": self.seeds,
            "steps": [vars(step) for step in self.steps],
            "runs": [vars(run) for run in self.runs],
        }


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
    prepared = texts.prepare(work)
    gold = Text(f"{prepared.folder}/data/bin", prepared)
    teacher = training.train_teacher(work, gold)
    runs = [_record(work, gold, teacher, "", TEACHER, table.teacher.seed, teacher, None)]
    for seed in range(1, count + 1):
        for row in table.rows.values():
            if row.later is not None or seed > (row.seeds or seed):
                continue
            for name in row.students:
                if scale.students and name not in scale.students:
                    continue
                trained = training.train(work, gold, teacher, row, table.students[name], seed)
                runs.append(_record(work, gold, teacher, name, row.name, seed, trained, row))
    steps = tuple(work.steps.values())
    return Plan(table.name, scale.name, data.name, count, steps, tuple(runs))


def _record(
    work: Work,
    gold: Text,
    teacher: Trained,
    student: str,
    row: str,
    seed: int,
    trained: Trained,
    what: Row | None,
) -> Run:
    """Translate the test sets and write a line of the ledger."""
    title = trained.step.title.removesuffix(": training")
    translated = _translate(work, gold, trained, what, title)
    after = [translated, trained.step, gold.step]
    told = {
        "table": work.table.name, "scale": work.scale.name, "data": work.data.name,
        "student": student, "row": row, "seed": str(seed),
        "model": trained.folder, "rule": work.rule,
        "references": f"{gold.step.folder}/references",
    }  # fmt: skip
    if work.table.agreement and what is not None:
        step = _agreement(work, gold, teacher, trained, title)
        after.append(step)
        told["agreement"] = f"{step.folder}/agreement.json"
    flags = [word for name, value in told.items() for word in (f"--{name}", value)]
    for name in work.table.decoding:
        flags += ["--translation", f"{name}={translated.folder}/{name}"]
    command = ("fairseq-kd", "record", "--ledger", ".", *flags)
    step = work.add("record", f"{title}: scores", lambda own: [command], after, share=5)
    return Run(student, row, seed, step.folder, work.needed(step.folder))


def _translate(work: Work, gold: Text, trained: Trained, row: Row | None, title: str) -> Step:
    own_flags = dict(row.search) if row is not None else {}
    after = [gold.step, trained.step]
    if row is not None and row.datastore:
        # Keys of another model would be strangers to the one that decodes.
        folder, step = training.store(work, trained, work.table.stores[row.datastore], gold)
        own_flags["--knnmt-datastore"] = (folder, row.source)
        after.append(step)

    def commands(own: str) -> list[Command]:
        made: list[Command] = []
        for name, given in work.table.decoding.items():
            flags = tuple(words(given, work.scale.flags.get("decoding", {}), own_flags))
            files = [f"{own}/{name}.{test}" for test in work.tests]
            script = f"{ROOT}/scripts/translate.sh"
            made += [
                (script, gold.folder, trained.checkpoint, test, file, *flags)
                for test, file in zip(work.tests, files)
            ]
            made.append((f"{ROOT}/scripts/pool.sh", f"{own}/{name}", *files))
        return made

    return work.add("translate", f"{title}: translating", commands, after, share=15)


def _agreement(work: Work, gold: Text, teacher: Trained, trained: Trained, title: str) -> Step:
    """How often teacher and student prefer the same word."""
    pair = ("--teacher", teacher.checkpoint, "--student", trained.checkpoint)
    command = ("fairseq-kd", "agreement", gold.folder, *pair)
    return work.add(
        "agreement",
        f"{title}: agreement",
        lambda own: [(*command, "--json", f"{own}/agreement.json")],
        (gold.step, teacher.step, trained.step),
    )
