"""Gates: what they measure, what stands behind them, and what a page says of a closed one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.tables.blocks import Text
from kd_plugin.tables.document import document
from kd_plugin.tables.forecast import forecast
from kd_plugin.tables.plan import Plan
from kd_plugin.tables.progress import State, look, look_at_all, read_plan
from kd_plugin.tables.read import parse_table
from kd_plugin.tables.table import Scale
from kd_plugin.tables.view import view

from .made import mapping, plan
from .test_report import sentences

ROWS = {"none": {}, "word": {"method": "word_kd", "store": "top"}, "seq": {"text": "kd"},
        "twice": {"longer": 2, "seeds": 1}}  # fmt: skip
GATED: dict[str, Any] = {
    "gates": {"doubled": "twice", "gain": 0.5, "teacher": 5, "memorised": 10},
    "rows": ROWS, "published": [],
    "students": {who: {"model": who, "flags": {"--max-update": 10}} for who in ("small", "tiny")},
}  # fmt: skip
ONLY = GATED | {"students": {"small": GATED["students"]["small"]}}  # one student alone


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Translations of which more and more is right, and two accuracies 12.5 points apart."""
    shares = {"references": 1, "baseline": 0.4, "doubled": 0.42, "teacher": 0.6}
    found = {}
    for name, share in shares.items():
        found[name] = tmp_path / name
        found[name].write_text("".join(f"{line}\n" for line in sentences(share, 7)))
    for name, accuracy in (("train", 0.75), ("valid", 0.625)):
        found[name] = tmp_path / f"{name}.json"
        found[name].write_text(json.dumps({"all": {"teacher": {"accuracy": accuracy}}}))
    return found


def gate(files: dict[str, Path], *flags: str, names: str = "doubled teacher train valid") -> None:
    command = ["gate"]
    for name in ("references", "baseline", *names.split()):
        command += [f"--{name}", str(files[name])]
    cli.main([*command, *flags])


def test_the_numbers(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def bleu(name: str) -> float:
        lines = (files[path].read_text().splitlines() for path in (name, "references"))
        hypotheses, references = lines
        return float(sacrebleu.corpus_bleu(hypotheses, [references]).score)

    gain, above = (bleu(name) - bleu("baseline") for name in ("doubled", "teacher"))
    bounds = ["--gain", str(gain + 0.1), "--above", str(above - 0.1), "--within", "12.5"]
    gate(files, *bounds, "--json", str(tmp_path / "g.json"), "--told", str(tmp_path / "told"))
    found = {one["name"]: one for one in json.loads((tmp_path / "g.json").read_text())["gates"]}
    assert found["converged"]["found"] == pytest.approx(gain)
    assert found["teacher"]["found"] == pytest.approx(above)
    assert found["memorised"]["found"] == pytest.approx(12.5)
    assert all(one["holds"] for one in found.values())
    assert (tmp_path / "told").read_text().startswith("gate open: twice the updates give the base")
    assert "converged: open, twice the updates" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--gain", "0.1"],
            "gate closed: twice the updates give the baseline .* wanted: less than 0.1",
        ),
        (
            ["--above", "90"],
            r"gate closed: the teacher is .* wanted: at least 90 \(make the student smaller, or "
            r"train the teacher longer\)\. gate open: twice the",
        ),
        (["--within", "12"], "gate closed: the teacher is right at 75.0 % of the .* 62.5 % of the"),
    ],
)
def test_a_closed_gate(flags: list[str], words: str, files: dict[str, Path]) -> None:
    wide = ["--gain", "50", "--above", "1", "--within", "20"]
    with pytest.raises(SystemExit, match=words):
        gate(files, *wide, *flags)
    gate(files, *wide, *flags, "--tell")


def test_bad_inputs(files: dict[str, Path], tmp_path: Path) -> None:
    for names, words in (
        ("train", "--train alone says nothing; give --valid too"),
        ("", "nothing is to be compared; give --teacher, --doubled, or --train"),
    ):
        with pytest.raises(SystemExit, match=words):
            gate(files, names=names)
    (tmp_path / "valid.json").write_text("{}")
    with pytest.raises(SystemExit, match="run fairseq-kd agreement again"):
        gate(files)
    files["teacher"].write_text("one line\n")
    with pytest.raises(SystemExit, match=r"teacher has 1 lines and --references 30; give"):
        gate(files, names="teacher")


def behind(made: Plan, folder: str) -> set[str]:
    """The folders of all steps that wait for one."""
    found: set[str] = set()
    for step in made.steps:
        if folder in step.after or found & set(step.after):
            found.add(step.folder)
    return found


def test_rows_stand_behind_the_gate() -> None:
    made = plan(**ONLY)
    first, step = (step for step in made.steps if step.kind == "gate")
    titles = {s.title: s for s in made.steps if s.folder in behind(made, step.folder)}
    free = {"teacher", "none, small, seed 1", "twice, small, seed 1"}
    trainings = {s.title.removesuffix(": training"): s for s in made.steps if s.kind == "train"}
    assert {name for name in trainings if f"{name}: training" not in titles} == free
    assert {"teacher's text kd (train)", "cache top (data: de-en)"} <= {*titles}
    assert "twice, small, seed 1: training" in {  # it is dear, and in vain with such a teacher
        s.title for s in made.steps if s.folder in behind(made, first.folder)}  # fmt: skip
    assert "--doubled" not in first.commands[0]
    assert {"--teacher", "--train", "--valid"} <= {*first.commands[0]} & {*step.commands[0]}
    alone = plan(**{**ONLY, "gates": {"doubled": "twice", "gain": 0.5}})
    assert [s.title for s in alone.steps if s.kind == "gate"] == ["gates of small"]
    assert step.commands[0][:2] == ("fairseq-kd", "gate")
    assert "--tell" not in step.commands[0]
    plain = plan(rows=ROWS, published=[], students=ONLY["students"])
    without = {s.folder for s in made.steps if s.kind not in ("gate", "fit", "agreement")}
    assert without == {s.folder for s in plain.steps}  # the same work, in another order


def test_each_student_has_its_own_gate() -> None:
    made = plan(**GATED)
    gates = {s.title: s.folder for s in made.steps if s.kind == "gate"}
    assert {*gates} == {"gates of small", "gates of tiny", "first gates of small",
                        "first gates of tiny"}  # fmt: skip
    waits = {s.title for s in made.steps if s.folder in behind(made, gates["gates of tiny"])}
    assert "word, tiny, seed 1: training" in waits
    assert "word, small, seed 1: training" not in waits
    assert "teacher's text kd (train)" not in waits  # which both need
    told = plan(Scale("smoke", gates_tell=True), **GATED)
    assert all("--tell" in s.commands[0] for s in told.steps if s.kind == "gate")


@pytest.mark.parametrize("order", [("short", "long"), ("long", "short")])
def test_a_baseline_waits_for_no_gate_of_another_student(order: tuple[str, str]) -> None:
    """The doubled training of one student is the baseline of the other."""
    updates = {"short": 10, "long": 20}
    students = {n: {"model": "small", "flags": {"--max-update": updates[n]}} for n in order}
    made = plan(**{**GATED, "students": students})
    run = next(r for r in made.runs if (r.student, r.row, r.seed) == ("long", "none", 1))
    assert not {step.folder for step in made.steps if step.kind == "gate"} & {*run.steps}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gates": {"doubled": "many"}}, "gates.doubled names 'many'; give one of none, word"),
        ({"gates": {"gain": 1}}, "gates has gain 1 of nothing; give doubled, a row"),
        ({"gates": {}}, "gates is empty; give some of doubled, gain, teacher, memorised"),
        ({"gates": {"teacher": "5"}}, "gates has teacher '5', which must be a number"),
        ({"gates": {"tacher": 5}}, "unknown key 'tacher'; give doubled, gain"),
        ({"gates": {"doubled": "word"}}, "names 'word', which does not say longer: 2"),
    ],
)
def test_bad_gates(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_table(mapping(**{**GATED, **changes}), "made", "made.yaml")


def test_behind_a_closed_first_gate_nothing_is_doubled(tmp_path: Path) -> None:
    made = plan(**ONLY)
    first, last = (tmp_path / step.folder for step in made.steps if step.kind == "gate")
    path = made.write(tmp_path, Path("made.yaml"), {})
    table = parse_table(mapping(**ONLY), "made", "made.yaml")
    (first / "began").touch()
    (first / "failed").write_text("error: gate closed: a bad teacher\n")
    found = view(table, read_plan(path), tmp_path)
    assert found.told == {"gates of small": "gate closed: a bad teacher"}
    assert {line.row: line.state for line in found.lines["small"]} == {
        **dict.fromkeys(("none", "word", "seq", "twice"), "not run"), "teacher": "unfinished"
    }  # fmt: skip
    for folder, said in ((first, "gate open: a good teacher"), (last, "gate open: all good")):
        (folder / "complete").write_text("2\n")
        (folder / "told").write_text(said)
        now = view(table, read_plan(path), tmp_path)
        assert now.told == {"gates of small": said}  # the last says what the first does, and more
        assert now.line("small", "twice").state == "unfinished"


def test_a_page_says_why_rows_are_not_run(tmp_path: Path) -> None:
    made = plan(**ONLY)
    _, step = (step for step in made.steps if step.kind == "gate")
    folder = tmp_path / step.folder
    folder.mkdir(parents=True)
    (folder / "began").touch()
    (folder / "failed").write_text("fairseq-kd: error: gate closed: no good\n")
    path = made.write(tmp_path, Path("made.yaml"), {})
    table = parse_table(mapping(**ONLY), "made", "made.yaml")
    found = view(table, read_plan(path), tmp_path)
    told = {line.row: (line.state, line.why) for line in found.lines["small"]}
    assert told["word"] == ("not run", "word: not run: gate closed, see above")
    assert told["none"] == ("not run", "none: not run: gate closed, see above")  # its seed 2
    begun = replace(found.line("small", "none"), entries=[{"seed": 1}])
    assert begun.state == "unfinished"  # there are numbers of it
    assert begun.why == "none: unfinished, 1 of 2 runs: gate closed, see above"
    assert told["twice"][0] == told["teacher"][0] == "unfinished"
    assert Text("Gates of small: gate closed: no good.") in document(found, Scale("paper"))
    all_the_same = Text("At this scale gates tell and close nothing: all rows were trained.")
    assert all_the_same not in document(found, Scale("paper"))
    assert all_the_same in document(found, Scale("paper", gates_tell=True))
    (folder / "complete").write_text("3\n")  # the teacher was trained longer
    (folder / "told").write_text("gates open: all good\n")
    assert look(folder) == State("done", 3, "gates open: all good")
    again = view(table, read_plan(path), tmp_path)
    assert again.line("small", "word").state == "unfinished"
    assert Text("Gates of small: gates open: all good.") in document(again, Scale("paper"))


def test_rows_seeds_and_minutes(tmp_path: Path) -> None:
    """none has taken 100 and 140 seconds, word 240: seq is taken for their mean, 160."""
    made = plan(**ONLY).everything()
    untimed = list(forecast(made, look_at_all(made["steps"], tmp_path)))
    assert untimed == [
        "  none, small: 2 seeds", "  word, small: 2 seeds", "  seq, small: 2 seeds",
        "  twice, small: 1 seed", "made, paper, de-en: 7 students, none is timed yet",
    ]  # fmt: skip
    seconds = {("none", 1): 100, ("none", 2): 140, ("word", 1): 240}
    for run in made["runs"]:
        if (run["row"], run["seed"]) in seconds:
            (tmp_path / run["trained"]).mkdir(parents=True)
            (tmp_path / run["trained"] / "complete").write_text(
                str(seconds[run["row"], run["seed"]])
            )
    timed = list(forecast(made, look_at_all(made["steps"], tmp_path)))
    assert timed[0] == "  none, small: 2 seeds, about 2 min each"
    assert timed[2] == "  seq, small: 2 seeds, about 3 min each"
    left = 160 + 240 + 2 * 160  # twice, word, seq
    assert timed[4] == (
        f"made, paper, de-en: 7 students, 3 timed; the rest takes about {left / 60:.0f} min, one "
        "after the other"
    )
