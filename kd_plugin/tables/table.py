"""What a table says: teacher, students, recipes, rows, published numbers; docs/tables.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .flags import Flags


@dataclass(frozen=True)
class Teacher:
    """One model; with ``folds`` K of them, each trained on all folds of the gold but one."""

    model: str
    flags: Flags
    seed: int
    folds: int | None
    source: str


@dataclass(frozen=True)
class Student:
    """A model, and the text it learns where that is damaged first."""

    name: str
    label: str
    model: str
    flags: Flags
    noise: Flags | None
    source: str


@dataclass(frozen=True)
class Corpus:
    """How the teacher's text is made: generated, filtered, selected, and joined with other text."""

    name: str
    generate: Flags
    filter: Flags | None
    select: Flags | None
    parts: tuple[str, ...]
    pairs: Flags
    seen: bool  # each of K teachers is asked about a fold that it was trained on
    source: str


@dataclass(frozen=True)
class Store:
    """Kind ``cache``, ``datastore`` or ``neighbours`` (of a datastore)."""

    name: str
    kind: str
    flags: Flags
    datastore: Flags
    seen: bool  # as of a corpus
    source: str


@dataclass(frozen=True)
class Row:
    """A method, what it learns from, and the flags that make it one of the table's rows."""

    name: str
    label: str
    method: str | None
    teacher: bool
    store: str | None
    text: str | None
    distilled: str | None
    flags: Flags
    longer: int  # times the updates of the student's model
    start: str | None
    datastore: str | None  # for kNN-MT
    search: Flags
    students: tuple[str, ...]
    seeds: int | None
    later: str | None  # why it cannot run yet
    source: str


@dataclass(frozen=True)
class Published:
    """Numbers of a paper: by student, then by row; the teacher's stands under ``""``."""

    source: str
    metric: str
    data: str
    decoding: str
    ours: str | None  # the measure of ours to set beside
    lower_is_better: bool
    values: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Curve:
    """The rows over students that differ in one number."""

    title: str
    axis: str
    at: dict[str, float]  # by student
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Gates:
    """What must hold before other rows are trained; None: whatever it is."""

    doubled: str | None = None  # the row of the baseline with twice the updates
    gain: float = 0.5
    teacher: float | None = None
    memorised: float | None = None


@dataclass(frozen=True)
class Scale:
    """What a smaller run of a table changes."""

    name: str
    data: str | None = None
    seeds: int = 3
    train_pairs: int | None = None
    limit: int | None = None  # pairs of every set
    checkpoint: str | None = None
    models: dict[str, str] = field(default_factory=dict)  # of teacher and student, instead
    students: dict[str, str] = field(default_factory=dict)  # those that run alone, and their models
    flags: dict[str, Flags] = field(default_factory=dict)  # by what they are added to
    rows: dict[str, Flags] = field(default_factory=dict)  # flags of single rows
    remark: str = ""
    gates_tell: bool = False  # and close nothing

    def trains(self, student: str) -> bool:
        """Whether it trains a student; one that names none trains all."""
        return not self.students or student in self.students

    def flags_of(self, row: Row) -> Flags:
        """A row's flags as they are at this scale."""
        known = {k: v for k, v in self.flags.get("row_flags", {}).items() if k in row.flags}
        return row.flags | known | self.rows.get(row.name, {})


@dataclass(frozen=True)
class Table:
    """A checked table."""

    name: str
    title: str
    about: str
    source: str
    data: str
    halves: bool
    noise: Flags | None  # of the text that teacher and students learn
    checkpoint: str
    baseline: str
    measure: tuple[str, ...]  # of :data:`.measures.STEPS`
    gates: Gates | None
    decoding: dict[str, Flags]
    teacher: Teacher
    students: dict[str, Student]
    corpora: dict[str, Corpus]
    stores: dict[str, Store]
    rows: dict[str, Row]
    published: list[Published]
    curves: list[Curve]
    scales: dict[str, dict[str, Any]]  # what they change in those of configs/scales

    def doubled(self, student: str) -> str | None:
        """The row by which a student's gate tells whether the baseline has converged, if it has."""
        row = self.gates.doubled if self.gates else None
        return row if row and student in self.rows[row].students else None
