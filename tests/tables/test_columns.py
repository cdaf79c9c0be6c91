"""The columns beside the scores, each recomputed from what the ledger was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from kd_plugin.tables.blocks import Grid, Text
from kd_plugin.tables.columns import WITH_SHARE, origlang, passing
from kd_plugin.tables.document import document
from kd_plugin.tables.ledger import append, keep
from kd_plugin.tables.measures import COLUMNS, TOLD
from kd_plugin.tables.progress import read_plan
from kd_plugin.tables.read import parse_table
from kd_plugin.tables.table import Scale
from kd_plugin.tables.view import Line, View, view

from .made import mapping, plan
from .test_ledger import entry
from .test_report import RIGHT, sentences

LANGUAGES = ["de"] * 10 + ["en"] * 17 + [""] * 3
TUNED = {"text": "kd", "start": "word"}
CHANGES: dict[str, Any] = {"measure": ["fit", "origlang"], "rows__tuned": TUNED}


def told(number: int, run: Any) -> dict[str, Any]:
    """Numbers of a run that no other run has."""
    known: dict[str, Any] = {name: 1000 * unit + number * unit for _, name, unit, _ in COLUMNS}
    if run.row != "word":
        known["threshold"] = None
    curve = [[10, 50.0 + number, 60.0, None], [20, 40.0 - number, 120.0 + number, None]]
    return {"signature": None, "learning": curve, **known}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output, made = tmp_path_factory.mktemp("output"), plan(**CHANGES)
    for name, lines in (("references", sentences(1, 0)), ("origlang", LANGUAGES)):
        (output / name).write_text("".join(f"{line}\n" for line in lines))
    steps = {step.folder: number for number, step in enumerate(made.steps)}
    for number, run in enumerate(made.runs):
        cell: dict[str, Any] = {"student": run.student, "row": run.row, "seed": run.seed}
        hypotheses = sentences(RIGHT.get(run.row, 0.5), number + 1)
        (output / "hypotheses").write_text("".join(f"{line}\n" for line in hypotheses))
        text = keep(output, output / "hypotheses")
        append(output, entry(
            **cell, model=f"{run.trained}/model", translations={"beam5": text, "greedy": text},
            references=keep(output, output / "references"), training=told(number, run),
            origlang=keep(output, output / "origlang"),
            needed={step: 3600.0 * steps[step] for step in run.needed},
        ))  # fmt: skip
    made.write(output, Path("made.yaml"), {})
    return output


@pytest.fixture(scope="module")
def found(folder: Path) -> View:
    table = parse_table(mapping(**CHANGES), "made", "made.yaml")
    path = folder / "made.paper.de-en" / "plan.json"
    return view(table, read_plan(path), folder, 1000)


@pytest.fixture(scope="module")
def grids(found: View) -> list[Grid]:
    return [block for block in document(found, Scale("paper")) if isinstance(block, Grid)]


def column(grid: Grid, title: str) -> dict[str, str]:
    place = list(grid.columns).index(title)
    return {row[0]: row[place] for row in grid.rows}


def numbers(row: str, student: str) -> list[int]:
    runs = plan(**CHANGES).runs
    return [n for n, run in enumerate(runs) if (run.row, run.student) == (row, student)]


def test_a_column_for_all_that_was_measured(found: View, grids: list[Grid]) -> None:
    for title, name, _, digits in COLUMNS:
        grid = next(grid for grid in grids if title in grid.columns)  # of small
        of_word = numbers("word", "small")
        mean = 1000 + sum(of_word) / len(of_word)
        assert column(grid, title)["word"] == f"{mean:,.{digits}f}", name
        if name == "threshold":  # which only one row tells
            assert column(grid, title)["none"] == ""
    texts = " ".join(b.text for b in document(found, Scale("paper")) if isinstance(b, Text))
    assert all(text in texts for text in TOLD.values())


def test_a_share_of_what_several_runs_need(grids: list[Grid]) -> None:
    """Counted here from what stands before each training."""
    made = plan(**CHANGES)
    steps = {step.folder: step for step in made.steps}
    place = {step.folder: number for number, step in enumerate(made.steps)}

    def before(folder: str) -> set[str]:
        return set(steps[folder].after).union(*map(before, steps[folder].after))

    needs = []
    for run in made.runs:
        kinds = {"train", "generate", "filter", "select", "text", "cache", "datastore",
                 "neighbours"}  # fmt: skip
        needs.append({f for f in before(run.trained) if steps[f].kind in kinds})
    for row in ("none", "word", "store", "tuned", "pairs"):
        hours = []
        for number in numbers(row, "tiny"):
            shared = (place[f] / sum(f in other for other in needs) for f in needs[number])
            hours.append(1000 + number + sum(shared))
        (_, grid) = (grid for grid in grids if WITH_SHARE in grid.columns)  # of small, of tiny
        told = column(grid, WITH_SHARE)[row]
        assert float(told.replace(",", "")) == pytest.approx(sum(hours) / len(hours), abs=0.006)
    assert made.steps[1].folder in needs[numbers("word", "tiny")[0]]  # the teacher
    assert needs[numbers("none", "tiny")[0]] == set()


def test_bleu_by_original_language(grids: list[Grid]) -> None:
    of_languages = [grid for grid in grids if "BLEU, de" in grid.columns]
    assert list(of_languages[0].columns) == ["row", "BLEU, de", "vs none", "BLEU, en", "vs none"]
    for number, student in enumerate(("small", "tiny")):
        for language in ("de", "en"):
            rows = [n for n, code in enumerate(LANGUAGES) if code == language]
            references = [sentences(1, 0)[n] for n in rows]
            scores = []
            for run in numbers("word", student):
                lines = sentences(RIGHT["word"], run + 1)
                hypotheses = [lines[n] for n in rows]
                scores.append(sacrebleu.corpus_bleu(hypotheses, [references]).score)
            told = column(of_languages[number], f"BLEU, {language}")["word"]
            assert told.startswith(f"{sum(scores) / len(scores):.2f} ± ")


def test_data_that_tell_no_languages(found: View) -> None:
    silent = [Line("tiny", "none", "none", 2)]
    assert origlang(found, silent) == [
        Text("de-en does not tell the original languages of its test sets.")
    ]
    table = parse_table(mapping(), "made", "made.yaml")
    assert origlang(View(table, found.plan, {}, {}), silent) == []  # nobody asked


def test_how_hard_the_tasks_are(found: View, grids: list[Grid]) -> None:
    (grid,) = (grid for grid in grids if "% of the teacher's parameters" in grid.columns)
    of_none = numbers("none", "tiny")
    mean = 1000 + sum(of_none) / len(of_none)
    teacher = 1000 + numbers("teacher", "")[0]
    assert column(grid, "% of the teacher's parameters")["tiny"] == f"{100 * mean / teacher:.0f}"
    assert column(grid, "H of its text")["tiny"] == f"{mean:.3f}"
    word = found.line("tiny", "word").scores["beam5"]["BLEU"]
    assert word.difference is not None
    assert column(grid, "word vs none")["tiny"].startswith(f"{word.difference:+.2f}")
    assert column(grid, "near vs none")["tiny"] == ""  # it has no such row


def test_rows_pass_each_other(grids: list[Grid]) -> None:
    (grid, _) = (grid for grid in grids if "passes none" in grid.columns)
    none, word = (sum(numbers(row, "small")) / 2 for row in ("none", "word"))
    assert column(grid, "perplexity, 20 updates")["word"] == f"{40 - word:.2f}"
    share = (word - none) / (2 * (word - none))  # behind by this, then ahead by as much
    updates = 10 + 10 * share
    assert column(grid, "passes none")["word"].startswith(f"{updates:,.0f} / ")
    assert column(grid, "passes word")["none"] == "-"
    assert column(grid, "passes none")["none"] == ""


def test_perplexity_is_said_to_compare_no_teachers_text(found: View) -> None:
    """Where a row learns such a text, and BLEU is not told."""
    lines = found.lines["small"]
    told = [block.text for block in passing(found, lines) if isinstance(block, Text)]
    assert "perplexity does not compare them" in told[-1]
    plain = [line for line in lines if line.row in ("none", "word")]
    assert len(passing(found, plain)) == 2
