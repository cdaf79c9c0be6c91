"""What a plan does not do again, as a ledger has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.tables.blocks import Text
from kd_plugin.tables.document import document
from kd_plugin.tables.forecast import forecast
from kd_plugin.tables.gates import Found, gates, summary
from kd_plugin.tables.known import Rest, rest_of
from kd_plugin.tables.ledger import Entry, append, keep, read_ledger
from kd_plugin.tables.plan import Plan, Run
from kd_plugin.tables.progress import State, read_plan
from kd_plugin.tables.read import parse_table
from kd_plugin.tables.steps import kind_of
from kd_plugin.tables.table import Scale
from kd_plugin.tables.view import view

from .made import mapping, plan
from .test_gates import GATED, ONLY
from .test_ledger import entry
from .test_report import sentences

MEASURED = {"train_accuracy": 75.0, "valid_accuracy": 70.0, "train_nll": 2.0, "valid_nll": 2.5,
            "agreement": 80.0}  # fmt: skip
BLEU = {"teacher": 30.0, "none": 20.0, "twice": 20.25}


def line_of(made: Plan, run: Run, folder: Path, **more: Any) -> Entry:
    """A run's line of the ledger, with translations that are kept."""
    after = next(step.after for step in made.steps if step.folder == run.record)
    (folder / "text").write_text("\n".join(sentences(0.5, run.seed)) + "\n")
    text, score = keep(folder, folder / "text"), {"BLEU": BLEU.get(run.row, 25.0), "chrF": 40.0}
    found: Entry = entry(
        run.row, run.seed, f"{run.trained}/model", student=run.student, references=text,
        translations=dict.fromkeys(("beam5", "greedy"), text),
        scores=dict.fromkeys(("beam5", "greedy"), score),
        translated=next(step for step in after if kind_of(step) == "translate"),
        compared=next((step for step in after if kind_of(step) == "agreement"), None),
    )  # fmt: skip
    found["training"] |= MEASURED
    return {**found, **more}


def fill(made: Plan, folder: Path, but: tuple[str, int] | None = None, **more: Any) -> None:
    """A ledger of all runs of a plan but one."""
    for run in made.runs:
        if (run.row, run.seed) != but:
            append(folder, line_of(made, run, folder, **more))


def rest(made: Plan, folder: Path, tell: bool = False, done: tuple[str, ...] = (),
         **changes: Any) -> Rest:  # fmt: skip
    table = parse_table(mapping(**(changes or ONLY)), "made", "made.yaml")
    return rest_of(made, table, tell, folder, done)


def titles(found: Rest) -> set[str]:
    return {step.title for step in found.plan.steps}


def test_nothing_is_left_of_a_table_that_the_ledger_has(tmp_path: Path) -> None:
    made = plan(**ONLY)
    assert rest(made, tmp_path).plan.steps == made.steps  # no ledger yet
    fill(made, tmp_path)
    found = rest(made, tmp_path)
    assert found.plan.steps == ()
    assert found.plan.runs == made.runs
    assert list(forecast(found.plan.everything(), {}))[-1] == (
        "made, paper, de-en: 7 students, 7 in the ledger, nothing is left to train"
    )
    said = summary(list(gates(Found(20.0, 30.0, 20.25, 75.0, 70.0), 0.5, 5, 10)))
    assert [told.line for told in found.plan.told.values()] == [said]
    path = found.plan.write(tmp_path, Path("made.yaml"), {})
    table = parse_table(mapping(**ONLY), "made", "made.yaml")
    page = view(table, read_plan(path), tmp_path)
    assert {line.state for line in page.lines["small"]} == {"done"}
    assert Text(f"Gates of small: {said}.") in document(page, Scale("paper"))
    assert found.lines == ()  # it has them already


def test_a_run_that_is_missing_is_done_with_all_that_it_needs(tmp_path: Path) -> None:
    made = plan(**ONLY)
    fill(made, tmp_path, but=("word", 2))
    found = rest(made, tmp_path)
    assert {"word, small, seed 2: training", "word, small, seed 2: scores", "data: de-en",
            "teacher: training", "cache top (data: de-en)"} <= titles(found)  # fmt: skip
    assert {t for t in titles(found) if "training" in t} == {
        "teacher: training", "word, small, seed 2: training"}  # fmt: skip
    assert "teacher: scores" in titles(found)  # another machine may have made another
    recorded = {step.folder for step in found.plan.steps if step.kind == "record"}
    assert len(recorded) == 2
    names = {step.folder for step in found.plan.steps}
    assert all(set(step.after) <= names for step in found.plan.steps)  # nothing waits for ever
    told = list(forecast(found.plan.everything(), dict.fromkeys(names, State("left"))))
    assert told[1] == "  word, small: 2 seeds, 1 in the ledger"


def test_what_is_done_stays(tmp_path: Path) -> None:
    made = plan(**ONLY)
    fill(made, tmp_path, but=("word", 2))
    kinds = ("data", "train", "cache")
    teacher, (data, cache) = (
        made.runs[0],
        (next(s.folder for s in made.steps if s.kind == kind) for kind in ("data", "cache")),
    )
    found = rest(made, tmp_path, done=(data, teacher.trained, cache))
    assert {"data: de-en", "teacher: training", "cache top (data: de-en)"} <= titles(found)
    assert "teacher: scores" not in titles(found)
    assert {step.kind for step in found.plan.steps} == {*kinds, "translate", "record"}


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ({"table": "another", "student": "own", "row": "as-we-call-it"}, True),
        ({"translated": None}, False),  # of an earlier version
        ({"translated": "steps/translate-000000000000"}, False),  # decoded otherwise
        ({"compared": None}, False),  # of an earlier version
        ({"compared": "steps/agreement-000000000000"}, False),  # with another teacher
        ({"references": "translations/gone.gz"}, False),
        ({"training": entry()["training"]}, False),  # another table did not measure agreement
    ],
)
def test_which_line_stands_for_a_run(more: dict[str, Any], known: bool, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"rows": {"none": {}}, "published": [], "students": ONLY["students"],
               "measure": ["agreement"]}  # fmt: skip
    made = plan(**changes)
    run = next(run for run in made.runs if (run.row, run.seed) == ("none", 1))
    append(tmp_path, line_of(made, run, tmp_path, **more))
    found = rest(made, tmp_path, **changes)
    assert ("none, small, seed 1: training" not in titles(found)) == known
    cells = [(line["table"], line["student"], line["row"], line["seed"]) for line in found.lines]
    assert cells == [("made", "small", "none", 1)] * ("table" in more)


def test_of_another_table_is_what_the_own_lacks_and_asks(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "rows": {"none": {}}, "published": [], "measure": ["agreement"],
    }  # fmt: skip
    made = plan(**changes)
    first, second = (r for r in made.runs if (r.row, r.student) == ("none", "small"))
    trained = line_of(made, first, tmp_path)["training"]
    other = {"table": "another", "training": {**trained, "tps": 5.0, "ups": 1.5}}
    append(tmp_path, line_of(made, first, tmp_path))
    for run in (first, second):
        append(tmp_path, line_of(made, run, tmp_path, **other))
    (taken,) = rest(made, tmp_path, **changes).lines
    assert (taken["table"], taken["seed"]) == ("made", 2)
    known = {name: taken["training"][name] for name in ("ups", "agreement", "tps", "train_nll")}
    assert known == {"ups": 1.5, "agreement": 80.0, "tps": None, "train_nll": None}
    append(tmp_path, taken)
    assert rest(made, tmp_path, **changes).lines == ()


def test_behind_a_gate_that_the_ledger_closes_nothing_is_left(tmp_path: Path) -> None:
    made = plan(**GATED)
    high = {"BLEU": 29.0, "chrF": 40.0}
    scores = {"beam5": high, "greedy": high}
    for run in made.runs:
        if run.row in ("none", "teacher", "twice") and run.seed == 1:
            bad = {"scores": scores} if (run.student, run.row) == ("small", "none") else {}
            append(tmp_path, line_of(made, run, tmp_path, **bad))
    found = rest(made, tmp_path, **GATED)
    assert [told.closed for told in found.plan.told.values()] == [True, False]
    assert "word, tiny, seed 1: training" in titles(found)
    assert not any(title.startswith(("word, small", "none, small")) for title in titles(found))
    costs = list(forecast(found.plan.everything(), {}))
    assert [line for line in costs if "small" in line] == [
        "  none, small: 1 seed, 1 in the ledger", "  twice, small: 1 seed, 1 in the ledger",
    ]  # fmt: skip
    path = found.plan.write(tmp_path, Path("made.yaml"), {})
    table = parse_table(mapping(**GATED), "made", "made.yaml")
    page = view(table, read_plan(path), tmp_path)
    assert page.line("small", "word").why == "word: not run: gate closed, see above"
    assert page.line("tiny", "word").state == "unfinished"
    assert "the teacher is +1.00 BLEU above the baseline" in page.told["gates of small"]
    told = rest(made, tmp_path, tell=True, **GATED)
    assert "word, small, seed 1: training" in titles(told)
    path = told.plan.write(tmp_path, Path("made.yaml"), {})
    assert view(table, read_plan(path), tmp_path).line("small", "word").state == "unfinished"


@pytest.mark.parametrize(("bleu", "closed"), [(29.0, True), (20.0, False)])
def test_the_first_gate_needs_no_doubled_updates(bleu: float, closed: bool, tmp_path: Path) -> None:
    made = plan(**ONLY)
    for run in made.runs:
        if run.row in ("none", "teacher") and run.seed == 1:
            score = {"BLEU": bleu if run.student else 30.0, "chrF": 40.0}
            scores = dict.fromkeys(("beam5", "greedy"), score)
            append(tmp_path, line_of(made, run, tmp_path, scores=scores))
    found = rest(made, tmp_path)
    (told,) = found.plan.told.values()
    assert (told.title, told.closed) == ("first gates of small", closed)
    assert ("twice, small, seed 1: training" not in titles(found)) == closed
    assert ("gates of small" not in titles(found)) == closed
    assert "first gates of small" not in titles(found)
    path = found.plan.write(tmp_path, Path("made.yaml"), {})
    table = parse_table(mapping(**ONLY), "made", "made.yaml")
    page = view(table, read_plan(path), tmp_path)
    assert f"the teacher is +{30 - bleu:.2f} BLEU above" in page.told["gates of small"]
    assert page.line("small", "twice").state == ("not run" if closed else "unfinished")
    if not closed:  # the first gate is told from the ledger, the last has run
        last = tmp_path / made.gates["small"][-1]
        (last / "began").touch()
        for word, line in (("failed", "error: gate closed: not yet"), ("told", "gate open: both")):
            (last / word).write_text(line)
            if word == "told":
                (last / "complete").write_text("1")
            page = view(table, read_plan(path), tmp_path)
            assert page.told == {"gates of small": line.removeprefix("error: ")}


def test_the_command_goes_on_from_a_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def planned() -> tuple[Any, str]:
        cli.main(["plan", "toy", "--scale", "smoke", "--output", str(tmp_path)])
        said = capsys.readouterr()
        return read_plan(Path(said.out.strip())), said.err

    whole, _ = planned()
    after = {step["folder"]: step["after"] for step in whole["steps"]}
    (tmp_path / "text").write_text("a text\n")
    text = keep(tmp_path, tmp_path / "text")
    for run in whole["runs"]:
        if run["row"] in ("teacher", "none"):
            translated = next(f for f in after[run["record"]] if kind_of(f) == "translate")
            line = entry(run["row"], model=f"{run['trained']}/model", translated=translated,
                         table="other", references=text, translations={"beam5": text})  # fmt: skip
            line["training"] |= MEASURED | {"tps": 1.0, "text_entropy": 1.0}
            append(tmp_path, line)
    rest_of_it, said = planned()
    assert rest_of_it["runs"] == whole["runs"]
    assert {one["title"] for one in whole["steps"]} - {one["title"] for one in rest_of_it["steps"]}
    assert "1 in the ledger" in said
    own = [line for line in read_ledger(tmp_path) if line["table"] == "toy"]
    assert [(line["row"], line["scale"]) for line in own] == [("none", "smoke")]
