"""The tables of configs/tables: every command line is read by the parser of its program."""

from __future__ import annotations

from pathlib import Path

import pytest

from kd_plugin.commands.cli import build_parser
from kd_plugin.tables.locate import CONFIGS, find_models, find_scale
from kd_plugin.tables.parsing import check
from kd_plugin.tables.plan import compile_table
from kd_plugin.tables.read import read_table
from kd_plugin.tables.work import Data

TABLES = sorted((CONFIGS / "tables").glob("*.yaml"))
DATA = Data("any", "any.yaml", {"languages": ["de", "en"], "tests": ["a", "b"]}, ("--from", "raw"))


@pytest.mark.parametrize("scale", ["smoke", "small", "paper"])
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_row_is_parsed(path: Path, scale: str) -> None:
    table = read_table(path)
    scaled = find_scale(table, scale)
    models = find_models(table, scaled, path.parent)
    plan = compile_table(table, scaled, DATA, models, 1)
    students = scaled.students or table.students
    rows = [(name, row.name) for row in table.rows.values() if row.later is None
            for name in row.students if name in students]  # fmt: skip
    assert sorted((run.student, run.row) for run in plan.runs if run.student) == sorted(rows)
    check(plan, models, build_parser())


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_published_numbers_name_source_and_metric(path: Path) -> None:
    for numbers in read_table(path).published:
        assert len(numbers.source) > 8
        assert len(numbers.metric) > 8
        assert numbers.data
