"""A table with some of its rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.tables.evidence import ledgers
from kd_plugin.tables.flags import Flags
from kd_plugin.tables.part import part_of
from kd_plugin.tables.plan import compile_table
from kd_plugin.tables.table import Scale, Table

from .made import DATA, MODELS, plan, table
from .test_gates import ONLY
from .test_known import fill

PAPER = Scale("paper")
GATED = {
    "gates": {"doubled": "twice", "gain": 0.5},
    "students__small__flags": {"--max-update": 10},
    "rows__twice": {"longer": 2, "students": ["small"], "seeds": 1},
    "curves": [
        {"title": "Size", "axis": "M", "at": {"small": 2, "tiny": 1}, "rows": ["seq", "none"]}
    ],
}  # fmt: skip


def cells(found: Table) -> set[str]:
    return {f"{student}/{row.name}" for row in found.rows.values() for student in row.students}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("seq", {"small/seq", "tiny/seq", "small/none", "tiny/none", "small/twice"}),
        ("tiny/seq", {"tiny/seq", "tiny/none"}),
        ("near, tiny/none", {"small/near", "small/none", "small/twice", "tiny/none"}),
        ("small/later", {f"small/{row}" for row in ("later", "seq", "pairs", "none", "twice")}),
    ],
)
def test_rows_and_what_they_stand_on(names: str, wanted: set[str]) -> None:
    starts = {"rows__seq": {"text": "kd", "start": "pairs"}, "rows__later": {"start": "seq"}}
    of = table(**GATED, **(starts if "later" in names else {}))
    part, scale = part_of(of, PAPER, names)
    assert cells(part) == wanted
    made = compile_table(part, scale, DATA, MODELS, 2)
    assert {f"{run.student}/{run.row}" for run in made.runs} == {*wanted, "/teacher"}
    gates = {step.title for step in made.steps if step.kind == "gate"}
    assert gates == {"gates of small"} & {f"gates of {name[:5]}" for name in wanted}


def test_what_is_not_asked_is_neither_made_nor_compared() -> None:
    whole = table(**GATED)
    assert part_of(whole, PAPER, None) == (whole, PAPER)
    part, _ = part_of(whole, PAPER, "small/word")
    (numbers,) = part.published
    assert numbers.values == {"": {"teacher": 30.0}, "small": {"none": 20.0, "word": 21.5}}
    assert part.curves == []
    assert part_of(whole, PAPER, "word")[0].curves[0].rows == ("none",)
    made, all_of_it = (compile_table(one, PAPER, DATA, MODELS, 2) for one in (part, whole))
    assert {step.kind for step in all_of_it.steps} - {step.kind for step in made.steps} >= {
        "generate", "cache", "neighbours"}  # fmt: skip
    assert {step.folder for step in made.steps} < {step.folder for step in all_of_it.steps}
    assert {f"{run.student}/{run.row}" for run in made.runs} == {
        "/teacher", "small/none", "small/twice", "small/word"}  # fmt: skip


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("sequence", "table made has the rows none, word, store, near, seq, pairs, twice; name"),
        ("none,", "--rows : table made has the rows none"),
        ("bt", "--rows bt: this row needs another teacher; leave it out"),
        ("tiny/near", "--rows tiny/near: here table made has small/near; name what it has"),
        ("huge/none", "--rows huge/none: here table made has small/none, tiny/none; name"),
    ],
)
def test_names_that_are_none(names: str, words: str) -> None:
    with pytest.raises(InputError) as raised:
        part_of(table(**GATED), PAPER, names)
    assert words in str(raised.value)


def test_students_that_a_scale_leaves_out() -> None:
    flags: dict[str, Flags] = {row: {"--lr": ("1", "ours")} for row in ("seq", "word")}
    only_tiny = Scale("small", students={"tiny": "small", "large": "small"}, rows=flags)
    part, scale = part_of(table(**GATED), only_tiny, "seq")
    assert cells(part) == {"tiny/seq", "tiny/none"}
    assert ({*scale.students}, {*scale.rows}) == ({"tiny"}, {"seq"})
    with pytest.raises(InputError, match="here table made has no student with this row"):
        part_of(table(**GATED), only_tiny, "near")


def test_the_page_has_the_rows_of_its_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def page(*rows: str) -> tuple[dict[str, Any], list[str]]:
        cli.main(["plan", "toy", "--scale", "smoke", *rows, "--output", str(tmp_path)])
        path = Path(capsys.readouterr().out.split()[-1])
        cli.main(["report", str(path), "--shuffles", "1000"])
        return json.loads(path.read_text()), path.with_name("table.md").read_text().split("\n")

    plan, part = page("--rows", "word_kd")
    assert plan["changes"] == {"rows": "word_kd"}
    assert {run["row"] for run in plan["runs"]} == {"teacher", "none", "word_kd"}
    assert "| rows |  | word_kd |" in part
    assert not any(line.startswith("| seq_kd |") for line in part)
    _, whole = page()
    assert any(line.startswith("| seq_kd |") for line in whole)


def test_claims_tell_that_they_read_a_part(tmp_path: Path) -> None:
    made = plan(**ONLY)
    fill(made, tmp_path)
    made.write(tmp_path, Path("made.yaml"), {})
    (whole,) = ledgers(tmp_path)
    assert "--rows" not in whole.where
    part, scale = part_of(table(**ONLY), PAPER, "word")
    compile_table(part, scale, DATA, MODELS, 2).write(tmp_path, Path("made.yaml"), {"rows": "word"})
    (read,) = ledgers(tmp_path)
    assert read.where == "scale paper, de-en, of its last call with --rows word alone"
