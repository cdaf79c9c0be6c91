"""What a page shows of a table: our runs by student and row, scored, and the paper's numbers."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..report.comparison import Score, System
from ..report.score import Scores, score
from .gates import CLOSED
from .ledger import CELL, Entry, by_translation, kept, read_ledger
from .measures import FACTS
from .plan import TEACHER
from .progress import FAILED, look
from .steps import FIRST, GATE, kind_of
from .table import Published, Table

SHUFFLES = 10_000
SEED = 12345


@dataclass
class Line:
    """A row of one student: its runs so far, and how they score by decoding."""

    student: str
    row: str
    label: str
    wanted: int  # runs
    entries: list[Entry] = field(default_factory=list)  # of finished runs, by seed
    results: list[list[list[Entry]]] = field(default_factory=list)  # of each; see :func:`_results`
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)  # by decoding, by metric
    by_origlang: dict[str, dict[str, Score]] = field(default_factory=dict)  # of the main decoding
    hours: list[float] = field(default_factory=list)  # of finished runs, with what they share
    failed: str = ""  # why a run failed
    later: str = ""  # why it cannot run yet, or why no more of it is worth its time

    @property
    def seeds(self) -> list[int]:
        return [entry["seed"] for entry in self.entries]

    @property
    def state(self) -> str:
        """``done``, or what is missing, in a word or two."""
        if self.later and not self.entries:
            return "not run"
        if self.failed:
            return "failed"
        if len(self.entries) < self.wanted:
            return "unfinished"
        return "done"

    @property
    def why(self) -> str:
        """What is missing, in words; nothing where all is done."""
        if self.state == "done":
            return ""
        runs = f", {len(self.entries)} of {self.wanted} runs" if self.state != "not run" else ""
        reason = self.later or self.failed
        return f"{self.label}: {self.state}{runs}" + (f": {reason}" if reason else "")

    def fact(self, name: str) -> float | None:
        """The mean over runs of what trainings said of themselves."""
        known = [e["training"][name] for e in self.entries if e["training"][name] is not None]
        return sum(known) / len(known) if known else None

    def measure(self, name: str, decoding: str) -> float | None:
        """One of the table's measures: BLEU and chrF of a decoding, or a fact."""
        if name in FACTS:
            return self.fact(name)
        found = self.scores.get(decoding, {}).get(name)
        return found.mean if found else None

    def difference(self, base: Line, name: str, decoding: str) -> float | None:
        """Of a measure, to the baseline's; of a score, of the seeds of both."""
        if found := self.scores.get(decoding, {}).get(name):
            return found.difference
        ours, theirs = self.measure(name, decoding), base.measure(name, decoding)
        return None if ours is None or theirs is None else ours - theirs


@dataclass(frozen=True)
class Compared:
    """A published number beside ours, each with its difference to its own table's baseline."""

    label: str
    published: float
    published_difference: float | None
    ours: float | None
    ours_difference: float | None

    @property
    def verdict(self) -> str:
        """Whether the two differences have one sign; nothing where ours rounds to none."""
        if not self.published_difference or self.ours_difference is None:
            return ""
        if abs(self.ours_difference) < 0.005:
            return "no difference"
        alike = self.published_difference * self.ours_difference > 0
        return "same sign" if alike else "other sign"


@dataclass
class View:
    """A table as far as it has come."""

    table: Table
    plan: Mapping[str, Any]
    lines: dict[str, list[Line]]  # by student, the teacher's last
    scored: dict[tuple[str, str], Scores]  # by student and decoding
    told: dict[str, str] = field(default_factory=dict)  # of gates, by the title of their step

    def line(self, student: str, row: str) -> Line:
        return next(line for line in self.lines[student] if line.row == row)

    def compared(self, numbers: Published) -> dict[str, list[Compared]]:
        """A paper's numbers by student, each beside ours."""
        teacher = numbers.values.get("", {}).get(TEACHER)
        found = {}
        for student in self.lines:
            values = dict(numbers.values.get(student, {}))
            if not values:
                continue
            if teacher is not None:
                values[TEACHER] = teacher
            base = values.get(self.table.baseline)
            found[student] = [
                self._compare(numbers, student, row, value, base) for row, value in values.items()
            ]
        return found

    def _compare(
        self, numbers: Published, student: str, row: str, value: float, base: float | None
    ) -> Compared:
        decoding = numbers.decoding or next(iter(self.table.decoding))
        line, baseline = self.line(student, row), self.line(student, self.table.baseline)
        is_base = row == self.table.baseline
        ours = numbers.ours
        return Compared(
            line.label,
            value,
            None if is_base or base is None else value - base,
            line.measure(ours, decoding) if ours else None,
            line.difference(baseline, ours, decoding) if ours and not is_base else None,
        )


def view(table: Table, plan: Mapping[str, Any], folder: Path, shuffles: int = SHUFFLES) -> View:
    """Score what the ledger has of a plan.

    Args:
        table: checked.
        plan: of :func:`.progress.read_plan`.
        folder: of the ledger and the steps.
        shuffles: of the tests.

    Raises:
        InputError: the ledger, or a text that it names, is damaged.
    """
    lines = _lines(table, plan, folder)
    scored = {}
    with tempfile.TemporaryDirectory() as scratch:
        for student, of_student in lines.items():
            for decoding in table.decoding:
                found = _score(table, of_student, decoding, folder, Path(scratch), shuffles)
                if found is not None:
                    scored[student, decoding] = found
    return View(table, plan, lines, scored, _told(plan, folder))


def _told(plan: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """What each student's gate says; of two the last, which says what the first does and more."""
    said = [
        (step["title"], state.said.rpartition("error: ")[2])
        for step in plan["steps"]
        if kind_of(step["folder"]) == GATE and (state := look(folder / step["folder"])).said
    ]
    said += [(one["title"], one["line"]) for one in plan["told"].values()]
    said.sort(key=lambda one: not one[0].startswith(FIRST))
    return {title.removeprefix(FIRST): line for title, line in said}


def _lines(table: Table, plan: Mapping[str, Any], folder: Path) -> dict[str, list[Line]]:
    """The rows of each student, the teacher last, with their entries of the ledger."""
    known: dict[tuple[Any, ...], list[Entry]] = {}
    ledger = read_ledger(folder)
    for entry in ledger:
        known.setdefault(tuple(entry[name] for name in CELL), []).append(entry)
    translated = by_translation(ledger)
    found: dict[str, list[Line]] = {}
    by_cell: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in plan["runs"]:
        by_cell.setdefault((run["student"], run["row"]), []).append(run)
    sharing = Counter(folder for run in plan["runs"] for folder in run["needed"])
    for student in table.students:
        if not any(run["student"] == student for run in plan["runs"]):
            continue  # not at this scale
        rows = [row for row in table.rows.values() if student in row.students]
        lines = [Line(student, row.name, row.label, 0, later=row.later or "") for row in rows]
        lines.append(Line("", TEACHER, TEACHER, 0))
        for line in lines:
            runs = by_cell.get((line.student, line.row), [])
            line.wanted = len(runs)
            for run in runs:
                _look_up(line, run, plan, known, folder)
            line.results = [
                _results(translated.get(entry["translated"], [entry])) for entry in line.entries
            ]
            line.hours = [h for e in line.entries if (h := _hours(e, sharing)) is not None]
        found[student] = lines
    return found


def _look_up(
    line: Line, run: Mapping[str, Any], plan: Mapping[str, Any], known: Any, folder: Path
) -> None:
    """Add what is known of a run to its line: the last entry of the plan's own model."""
    cell, model = {**plan, **run}, f"{run['trained']}/model"
    entries = known.get(tuple(cell[name] for name in CELL), [])
    own = [entry for entry in entries if entry["model"] == model]
    if own:
        line.entries.append(own[-1])
        return
    for step in run["steps"]:
        state = look(folder / step)
        closed = step in plan["told"] and plan["told"][step]["closed"]
        if closed or (state.what == FAILED and CLOSED in state.said):
            line.later = f"{CLOSED}, see above"
            return
        if state.what == FAILED:
            line.failed = f"{state.said} (log: {step}/log)"
            return


def _results(lines: Sequence[Entry]) -> list[list[Entry]]:
    """The lines of one model by what it translates: one list, as a rule.

    Trained again, as on another machine, a model may translate otherwise.
    """
    found: dict[tuple[Any, ...], list[Entry]] = {}
    for line in lines:
        found.setdefault(tuple(line["translations"].values()), []).append(line)
    return [*found.values()]


def _hours(entry: Entry, sharing: Mapping[str, int]) -> float | None:
    """Of a run's training, and its share of each step that several runs need."""
    parts = [(entry["training"]["seconds"], 1)]
    parts += [(spent, sharing.get(folder, 1)) for folder, spent in entry["needed"].items()]
    if any(spent is None for spent, _ in parts):
        return None
    return math.fsum(spent / runs for spent, runs in parts) / 3600


def _score(
    table: Table, lines: Sequence[Line], decoding: str, folder: Path, scratch: Path, shuffles: int
) -> Scores | None:
    """Score the runs of all rows by one decoding; None where there are none."""
    begun = [line for line in lines if line.entries]
    if not begun:
        return None
    systems = []
    for line in begun:
        files = []
        for entry in line.entries:
            path = scratch / f"{line.student}.{decoding}.{line.row}.{entry['seed']}"
            path.write_bytes(kept(folder, entry["translations"][decoding]))
            files.append(str(path))
        systems.append(System(line.label, files))
    references = scratch / "references"
    references.write_bytes(kept(folder, begun[0].entries[0]["references"]))
    base = next((line for line in begun if line.row == table.baseline), None)
    first = begun[0].entries[0]
    rule = next(iter(first["signatures"].values())).rpartition("|checkpoint:")[2]
    origlang = scratch / "origlang" if first["origlang"] else None
    if origlang:
        origlang.write_bytes(kept(folder, first["origlang"]))
    found = score(
        systems, [str(references)], base.label if base else None,
        str(origlang) if origlang else None, rule, "13a", shuffles, SEED, (),
        {line.label: line.seeds for line in begun if line.student},
    )  # fmt: skip
    for line, system in zip(begun, systems):
        line.scores[decoding] = system.scores
        if decoding == next(iter(table.decoding)):
            line.by_origlang = system.by_origlang
    return found
