"""A table with some of its rows: what a call asks for of a table that would take days."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from ..errors import InputError
from .plan import TEACHER
from .table import Curve, Published, Scale, Table


def part_of(table: Table, scale: Scale, names: str | None) -> tuple[Table, Scale]:
    """A table and a scale with the rows that are named, and those on which these stand.

    The latter are the baseline, the row by which gates tell whether it has converged, and the row
    whose model another one begins with. Published numbers and curves are cut alike.

    Args:
        table: checked.
        scale: which may leave students out.
        names: ``ROW`` of all students that have it, or ``STUDENT/ROW``, with commas between them;
            None: the whole table.

    Raises:
        InputError: the table has no such row or student, or the row cannot run yet.
    """
    if names is None:
        return table, scale
    cells = {cell for name in names.split(",") for cell in _cells(table, scale, name.strip())}
    asked = {student for student, _ in cells}
    for student in asked:
        below = filter(None, (table.baseline, table.doubled(student)))
        cells |= {(student, row) for row in below}
    for student, row in tuple(cells):
        while (start := table.rows[row].start) is not None:
            cells.add((student, start))
            row = start
    students = {name: student for name, student in table.students.items() if name in asked}
    cut = (
        replace(row, students=tuple(s for s in row.students if (s, row.name) in cells))
        for row in table.rows.values()
    )
    rows = {row.name: row for row in cut if row.students}
    curves = (_curve(curve, students, rows) for curve in table.curves)
    gates = table.gates
    if gates and gates.doubled not in rows:  # no student of the part has it
        gates = replace(gates, doubled=None)
    part = replace(
        table,
        students=students,
        rows=rows,
        gates=gates,
        published=[_published(numbers, cells) for numbers in table.published],
        curves=[curve for curve in curves if curve.rows and len(curve.at) > 1],
    )
    models = {student: model for student, model in scale.students.items() if student in students}
    flags = {row: of for row, of in scale.rows.items() if row in rows}
    return part, replace(scale, students=models, rows=flags)


def _cells(table: Table, scale: Scale, name: str) -> Iterator[tuple[str, str]]:
    """Students and rows of one name."""
    wanted, slash, last = name.rpartition("/")
    row = table.rows.get(last)
    if row is None:
        known = ", ".join(name for name, row in table.rows.items() if row.later is None)
        raise InputError(
            f"--rows {name}: table {table.name} has the rows {known}; name some of them"
        )
    if row.later is not None:
        raise InputError(f"--rows {name}: this row {row.later}; leave it out")
    students = [student for student in row.students if scale.trains(student)]
    if (slash and wanted not in students) or not students:
        known = ", ".join(f"{student}/{last}" for student in students) or "no student with this row"
        raise InputError(f"--rows {name}: here table {table.name} has {known}; name what it has")
    for student in [wanted] if slash else students:
        yield student, last


def _published(numbers: Published, cells: Collection[tuple[str, str]]) -> Published:
    values = {
        student: {row: v for row, v in of.items() if row == TEACHER or (student, row) in cells}
        for student, of in numbers.values.items()
    }
    return replace(numbers, values={student: of for student, of in values.items() if of})


def _curve(curve: Curve, students: Mapping[str, object], rows: Mapping[str, object]) -> Curve:
    at = {student: number for student, number in curve.at.items() if student in students}
    return replace(curve, at=at, rows=tuple(row for row in curve.rows if row in rows))
