"""A student's table: its scores, what else was measured, and what the columns mean."""

from __future__ import annotations

from collections.abc import Sequence

from ..report.comparison import Score
from ..report.table import accuracies, length, rounded, value
from .blocks import Block, Grid, Heading, Text
from .curves import Curve, common_end, curves, passes, reached
from .measures import COST, LEARNT, TOLD
from .plan import TEACHER
from .view import Line, View

WITH_SHARE = "hours with the teacher's share"


def scores(view: View, lines: Sequence[Line]) -> Grid:
    """Scores by decoding, and differences."""
    table = view.table
    columns, cells = ["row", "runs"], [[line.label, str(len(line.entries))] for line in lines]
    if any(line.state != "done" for line in lines):
        columns.append("state")
        for row, line in zip(cells, lines):
            row.append(line.state)
    for number, decoding in enumerate(table.decoding):
        for metric in ("BLEU", "chrF")[: 2 if number == 0 else 1]:
            columns += [f"{metric} {decoding}", f"vs {table.baseline}"]
            for row, line in zip(cells, lines):
                row += _score_cells(line.scores.get(decoding, {}).get(metric))
        if number == 0:
            columns += ["accuracy", "length"]
            for row, line in zip(cells, lines):
                found = line.scores.get(decoding, {})
                row += [accuracies(found), length(found)]
    return Grid(columns, cells, frozenset({"state"}))


def measures(lines: Sequence[Line]) -> list[Block]:
    """What each row has learnt, what it cost, and what these numbers mean."""
    lines, grids = [line for line in lines if line.entries], list[Block]()
    for part in (LEARNT, COST):
        columns, cells = ["row"], [[line.label] for line in lines]
        for title, name, unit, digits in part:
            _add(columns, cells, title, [line.fact(name) for line in lines], unit, digits)
        if part is COST:
            hours = [sum(line.hours) / len(line.hours) if line.hours else None for line in lines]
            _add(columns, cells, WITH_SHARE, hours, 1, 2)
        grids += [Grid(columns, cells)] if len(columns) > 1 else []
    return [*grids, *_remarks(lines)]


def _add(
    columns: list[str], cells: Sequence[list[str]], title: str, values: Sequence[float | None],
    unit: float, digits: int,
) -> None:  # fmt: skip
    """A column, where a row has something to tell in it."""
    if any(value is not None for value in values):
        columns.append(title)
        for row, number in zip(cells, values):
            row.append("" if number is None else f"{number / unit:,.{digits}f}")


def _remarks(lines: Sequence[Line]) -> list[Block]:
    """What columns mean that are not known to everybody."""
    told = [
        text for name, text in TOLD.items() if any(line.fact(name) is not None for line in lines)
    ]
    if any(line.hours for line in lines):
        told.append(
            f"{WITH_SHARE}: a run's own and its part of the teacher's training, text and stores "
            "and of the training that it starts from, each divided by the runs of this table that "
            "need it"
        )
    return [Text("; ".join(told) + ".")] if told else []


def origlang(view: View, lines: Sequence[Line]) -> list[Block]:
    """BLEU and differences by the original language of the test sentences."""
    table = view.table
    if "origlang" in table.measure and not any(line.by_origlang for line in lines):
        return [Text(f"{view.plan['data']} does not tell the original languages of its test sets.")]
    languages = sorted({language for line in lines for language in line.by_origlang})
    if not languages:
        return []
    columns, cells = ["row"], [[line.label] for line in lines]
    for language in languages:
        columns += [f"BLEU, {language}", f"vs {table.baseline}"]
        for row, line in zip(cells, lines):
            row += _score_cells(line.by_origlang.get(language, {}).get("BLEU"))
    first = next(iter(table.decoding))
    return [Text(f"By original language, {first}:"), Grid(columns, cells)]


def _score_cells(score: Score | None) -> list[str]:
    if score is None:
        return ["", ""]
    different = "" if score.difference is None else rounded(score.difference, 2, "+")
    return [value(score), different + (" *" if score.significant else "")]


def passing(view: View, lines: Sequence[Line]) -> list[Block]:
    """After how many updates and minutes each row passes the others, and what it has by then."""
    points = {
        line.label: [entry["training"]["learning"] for entry in line.entries]
        for line in lines
        if line.student
    }
    what, found = curves(points)
    if len(found) < 2:
        return []
    columns, cells = ["row"], [[label] for label in found]
    updates, seconds = (common_end(found, axis) for axis in ("updates", "seconds"))
    for axis, end, told in (
        ("updates", updates, f"{what}, {updates or 0:,.0f} updates"),
        ("seconds", seconds, f"{what}, {(seconds or 0) / 60:,.1f} min"),
    ):
        if end is not None:
            columns.append(told)
            for row, curve in zip(cells, found.values()):
                at_end = reached(curve, axis, end)
                row.append("" if at_end is None else rounded(at_end))
    for other, theirs in found.items():
        columns.append(f"passes {other}")
        for row, (label, ours) in zip(cells, found.items()):
            row.append("" if label == other else _passed(ours, theirs))
    blocks: list[Block] = [
        Text(
            f"Learning curves, {what} of the valid set, mean over seeds: equal updates and equal "
            "time, each up to where all rows have come; and the updates / minutes after which a "
            "row passes another one for good: 0 where it is ahead from the first validation on, a "
            "dash where it is not at the end; empty, where a row has no validation yet. Jobs side "
            "by side take each other's minutes."
        ),
        Grid(columns, cells),
    ]
    rows = [view.table.rows[line.row] for line in lines if line.student]
    if what != "BLEU" and any(row.text or row.distilled for row in rows):
        blocks.append(
            Text(
                "Students of a teacher's text translate better at a higher perplexity of "
                "references: perplexity does not compare them. For curves of BLEU let trainings "
                "ask for it (--eval-bleu)."
            )
        )
    return blocks


def _passed(ours: Curve, theirs: Curve) -> str:
    updates, seconds = (passes(ours, theirs, axis) for axis in ("updates", "seconds"))
    minutes = None if seconds is None else seconds / 60
    if updates is None and minutes is None:
        return "-"
    first, second = (
        "-" if at is None else f"{at:,.{digits}f}" for at, digits in ((updates, 0), (minutes, 1))
    )
    return f"{first} / {second}"


def scenarios(view: View) -> list[Block]:
    """What tells how hard each student's task is, and what each row gains there."""
    table = view.table
    if len(view.lines) < 2 or not {"text", "fit"} & {*table.measure}:
        return []
    decoding, base = next(iter(table.decoding)), table.baseline
    rows = [row for row in table.rows.values() if row.later is None and row.name != base]
    columns = [
        "student",
        "% of the teacher's parameters",
        "H of its text",
        "NLL train",
        "NLL valid",
    ]
    columns += [f"{row.label} vs {base}" for row in rows]
    cells = []
    for student, lines in view.lines.items():
        known = {line.row: line for line in lines}
        ours, teacher = known[base], known[TEACHER]
        sizes = ours.fact("parameters"), teacher.fact("parameters")
        share = 100 * sizes[0] / sizes[1] if sizes[0] and sizes[1] else None
        numbers = (share, *(ours.fact(name) for name in ("text_entropy", "train_nll", "valid_nll")))
        cells.append([table.students[student].label])
        cells[-1] += ["" if n is None else rounded(n, d) for n, d in zip(numbers, (0, 3, 3, 3))]
        for row in rows:
            line = known.get(row.name)
            score = line.scores.get(decoding, {}).get("BLEU") if line else None
            cells[-1].append(_score_cells(score)[1])
    told = Text(
        f"Size, and what {base} says of the text: H is of its training targets, NLL of the model "
        f"on these and on the valid set. Differences are of BLEU, {decoding}."
    )
    return [Heading("How hard each student's task is"), told, Grid(columns, cells)]
