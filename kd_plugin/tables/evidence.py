"""Scores that claims can be held against: those of a ledger, or of ``fairseq-kd score --json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files.schema import read_json
from ..report.comparison import RESAMPLES
from ..report.paired import hierarchical_bootstrap
from ..report.scores import METRICS, Counts, Measure
from .claims import Cell, Statement, Test
from .ledger import CELL, LEDGER, Entry, kept, read_ledger
from .locate import find_table
from .progress import read_plan
from .verdict import Measured
from .view import SEED

SCORES = {
    "baseline": (str, None),
    "sentences": int,
    "systems": [{"name": str, "scores": {str: {"runs": [float], "paired": (dict, None)}}}],
}


@dataclass
class Evidence:
    """Runs of one table; see :meth:`measure`."""

    table: str
    where: str  # which scale, data or file

    def measure(self, test: Test, said: Statement, level: float) -> Measured:
        """A statement's sum by seed, and its interval by the hierarchical bootstrap.

        Args:
            test: of the statement, on this table.
            said: the statement.
            level: what the interval leaves outside.
        """
        runs = [
            self._seeds(cell, decoding, said.measure)
            for cell, decoding in zip(said.cells, said.decodings)
        ]
        missing = [cell for cell, of_cell in zip(said.cells, runs) if not of_cell]
        if missing:
            return Measured(said, missing=absent(test, missing))
        weights = said.weigh({cell: self._size(cell) for cell in said.cells})
        if weights is None:
            return Measured(said, missing="the models' sizes are unknown, or do not grow")
        common = sorted(set.intersection(*map(set, runs)))
        if not common:
            return Measured(said, missing="no seed that all its rows have")
        why = self._unlike(said, common)
        if why:
            return Measured(said, missing=why)
        values = [
            math.fsum(w * of_cell[seed] for w, of_cell in zip(weights, runs)) for seed in common
        ]
        bootstrap = self._bootstrap(said, weights, common, level) if len(common) > 1 else None
        return Measured(said, values, bootstrap)

    def _seeds(self, cell: Cell, decoding: str, measure: str) -> Mapping[int, float]:
        """The scores of a cell by seed."""
        raise NotImplementedError

    def _size(self, cell: Cell) -> float | None:
        """The parameters of a cell's model."""
        return None

    def _unlike(self, said: Statement, seeds: Sequence[int]) -> str:
        """Why the cells cannot be compared, or nothing."""
        return ""

    def _bootstrap(
        self, said: Statement, weights: Sequence[float], seeds: Sequence[int], level: float
    ) -> tuple[float, float] | None:
        raise NotImplementedError


def absent(test: Test, cells: Sequence[Cell]) -> str:
    """Which cells are not there, and why the table says so."""
    later = {row: test.table.rows[row].later for _, row in cells}
    return "no run of " + ", ".join(
        f"{student}/{row}" + (f" ({later[row]})" if later[row] else "")
        for student, row in dict.fromkeys(cells)
    )


@dataclass
class Counted:
    """What a metric counts in the translations that a folder keeps, each counted once."""

    folder: Path
    _measures: dict[tuple[str, str], Measure] = field(default_factory=dict)
    _counts: dict[tuple[str, str, str], Counts] = field(default_factory=dict)

    def measure(self, metric: str, references: str) -> Measure:
        key = metric, references
        if key not in self._measures:
            self._measures[key] = Measure([self._lines(references)], only=metric)
        return self._measures[key]

    def counts(self, metric: str, references: str, name: str) -> Counts:
        key = metric, references, name
        if key not in self._counts:
            self._counts[key] = self.measure(metric, references).counts(self._lines(name))
        return self._counts[key]

    def _lines(self, name: str) -> list[str]:
        return kept(self.folder, name).decode("utf-8").splitlines()


@dataclass
class Ledger(Evidence):
    """The runs of a table in the ledger of a folder, at one scale and on one data set."""

    counted: Counted
    entries: Mapping[Cell, Mapping[int, Entry]]

    def _seeds(self, cell: Cell, decoding: str, measure: str) -> Mapping[int, float]:
        found = {}
        for seed, entry in self.entries.get(cell, {}).items():
            of_decoding = entry["scores"].get(decoding, {})
            value = of_decoding.get(measure, entry["training"].get(measure))
            if value is not None:
                found[seed] = float(value)
        return found

    def _size(self, cell: Cell) -> float | None:
        sizes = {entry["training"]["parameters"] for entry in self.entries[cell].values()}
        return sizes.pop() if len(sizes) == 1 else None

    def _unlike(self, said: Statement, seeds: Sequence[int]) -> str:
        entries = [self.entries[cell][seed] for cell in said.cells for seed in seeds]
        alike = len({entry["references"] for entry in entries}) == 1
        return "" if alike else "its rows were scored on different test texts"

    def _bootstrap(
        self, said: Statement, weights: Sequence[float], seeds: Sequence[int], level: float
    ) -> tuple[float, float] | None:
        if said.measure not in METRICS:
            return None
        of = said.measure, self.entries[said.cells[0]][seeds[0]]["references"]
        systems = []
        for cell, decoding in zip(said.cells, said.decodings):
            names = [self.entries[cell][seed]["translations"][decoding] for seed in seeds]
            systems.append(np.stack([self.counted.counts(*of, name) for name in names]))
        score = self.counted.measure(*of).score
        bounds = hierarchical_bootstrap(systems, weights, score, RESAMPLES, SEED, level)
        low, high = bounds[:, 0].tolist()
        return low, high


@dataclass
class ScoreFile(Evidence):
    """Systems of ``fairseq-kd score --paired --json`` that are called as rows of a table.

    The file has runs and, of each system less the baseline, the hierarchical bootstrap's interval;
    of other sums the seeds alone are known. It stands for the table's main decoding.
    """

    student: str
    decoding: str
    baseline: str
    scores: Mapping[str, Mapping[str, Any]]  # by system, by metric

    def _seeds(self, cell: Cell, decoding: str, measure: str) -> Mapping[int, float]:
        student, row = cell
        if (student, decoding) != (self.student, self.decoding):
            return {}
        runs = self.scores.get(row, {}).get(measure, {}).get("runs", [])
        return dict(enumerate(runs, 1))

    def _bootstrap(
        self, said: Statement, weights: Sequence[float], seeds: Sequence[int], level: float
    ) -> tuple[float, float] | None:
        rows = [row for _, row in said.cells]
        if len(rows) != 2 or self.baseline not in rows or sorted(weights) != [-1, 1]:
            return None
        other = rows[1 - rows.index(self.baseline)]
        pairs = self.scores[other][said.measure]["paired"]
        if pairs is None:
            return None
        low, high = pairs["interval"]
        return (low, high) if weights[rows.index(other)] > 0 else (-high, -low)


def read_evidence(given: str) -> list[Evidence]:
    """What a word of the command line names.

    Args:
        given: the output folder of tables, the ledger in it, or ``TABLE[/STUDENT]=FILE`` with the
            JSON of ``fairseq-kd score``.

    Raises:
        InputError: it is none of them, or damaged.
    """
    path = Path(given)
    if path.is_file() and path.name == LEDGER:
        path = path.parent
    if (path / LEDGER).is_file():
        return ledgers(path)
    name, equals, file = given.partition("=")
    if equals:
        return [_read_scores(given, name, file)]
    raise InputError(
        f"{given} has no {LEDGER}; give the output folder of a reproduce.sh that has finished a "
        "run, or TABLE=FILE with the JSON of fairseq-kd score"
    )


def ledgers(folder: Path) -> list[Evidence]:
    """The tables of a folder, by scale and data.

    Of several lines for a cell the last counts; where the table's plan is still there, only lines
    of models that it makes.
    """
    newest = {tuple(entry[name] for name in CELL): entry for entry in read_ledger(folder)}
    groups: dict[tuple[str, str, str], dict[Cell, dict[int, Entry]]] = {}
    plans: dict[tuple[str, str, str], tuple[dict[Any, set[str]] | None, str]] = {}
    for entry in newest.values():
        group = entry["table"], entry["scale"], entry["data"]
        if group not in plans:
            plans[group] = _planned(folder / ".".join(group) / "plan.json")
        cell, seed = (entry["student"], entry["row"]), entry["seed"]
        planned, _ = plans[group]
        if planned is not None and entry["model"] not in planned.get((*cell, seed), ()):
            continue
        groups.setdefault(group, {}).setdefault(cell, {})[seed] = entry
    nothing = {"smoke": ", whose numbers mean nothing"}
    counted = Counted(folder)
    found: list[Evidence] = []
    for group, entries in sorted(groups.items()):
        (table, scale, data), (_, part) = group, plans[group]
        where = f"scale {scale}{nothing.get(scale, '')}, {data}{part}"
        found.append(Ledger(table, where, counted, entries))
    return found


def _planned(path: Path) -> tuple[dict[Any, set[str]] | None, str]:
    """The models that each run of a plan needs, and which part of a table it is, if of a part.

    None where there is no plan.
    """
    if not path.exists():
        return None, ""
    plan = read_plan(path)
    rows = plan["changes"].get("rows")
    return {
        (run["student"], run["row"], run["seed"]): {f"{step}/model" for step in run["steps"]}
        for run in plan["runs"]
    }, f", of its last call with --rows {rows} alone" if rows else ""


def _read_scores(given: str, name: str, file: str) -> ScoreFile:
    student = ""
    if "/" in name and not name.endswith(".yaml"):
        name, _, student = name.rpartition("/")
    table, _ = find_table(name)
    if not student:
        if len(table.students) > 1:
            raise InputError(f"{given}: {table.name} has the students {', '.join(table.students)}; "
                             f"give {name}/STUDENT={file}")  # fmt: skip
        student = next(iter(table.students))
    if student not in table.students:
        raise InputError(f"{given} names the student {student!r}; {table.name} has "
                         f"{', '.join(table.students)}")  # fmt: skip
    found = read_json(Path(file), SCORES, "write it with fairseq-kd score --paired --json")
    scores = {system["name"]: system["scores"] for system in found["systems"]}
    metrics = [metric for of_system in scores.values() for metric in of_system.values()]
    pairs = [metric["paired"] for metric in metrics if metric["paired"] is not None]
    if not pairs:
        raise InputError(
            f"{file} does not say that its runs share their seeds; write it with fairseq-kd score "
            "--paired --json"
        )
    numbers = [number for metric in metrics for number in metric["runs"]]
    bounds = [one.get("interval") for one in pairs]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in bounds):
        raise InputError(f"{file} is damaged (an interval has no two ends); write it again")
    numbers += [bound for pair in bounds for bound in pair]
    if not all(isinstance(n, float) and math.isfinite(n) for n in numbers):
        raise InputError(f"{file} is damaged (a score is no number); write it again")
    return ScoreFile(
        table.name, f"{file}, {found['sentences']} sentences", student,
        next(iter(table.decoding)), found["baseline"], scores,
    )  # fmt: skip
