"""The page of a table: its numbers by sacrebleu alone, its comparison, its four formats."""

from __future__ import annotations

import csv
import io
import random
import re
import statistics
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import sacrebleu

from kd_plugin.commands import cli
from kd_plugin.files.whole import to_json
from kd_plugin.tables.blocks import Grid, Text
from kd_plugin.tables.document import BUDGET, document, provenance
from kd_plugin.tables.ledger import append, keep
from kd_plugin.tables.page import html
from kd_plugin.tables.plan import Run
from kd_plugin.tables.plots import pictures
from kd_plugin.tables.progress import read_plan
from kd_plugin.tables.read import parse_table
from kd_plugin.tables.render import as_csv, escaped, latex, markdown
from kd_plugin.tables.table import Scale
from kd_plugin.tables.view import Compared, View, view

from .made import mapping, plan
from .test_ledger import entry

RIGHT = {"teacher": 0.9, "none": 0.4, "word": 0.5, "store": 0.5, "near": 0.5, "seq": 0.3,
         "pairs": 0.6}  # fmt: skip
CURVE = {
    "title": "Sizes",
    "axis": "million",
    "at": {"small": 2, "tiny": 1},
    "rows": ["none", "word"],
}
SCALE = Scale("paper", remark="a remark")
UNFINISHED = ("store", "small", 2)
FAILED = ("near", "small", 1)


def sentences(share: float, seed: int) -> list[str]:
    """Thirty sentences of which about a share of the words are those of the references."""
    draw = random.Random(seed)
    return [
        " ".join(f"w{n * 7 + k}" if draw.random() < share else "x" for k in range(9))
        for n in range(30)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of a plan of which one run is missing and one has failed."""
    output = tmp_path_factory.mktemp("output")
    made = plan(curves=[CURVE])
    for name in ("references", "translation"):
        (output / name).write_text("\n".join(sentences(1, 0)) + "\n")
    references = keep(output, output / "references")
    for number, run in enumerate(made.runs):
        cell: dict[str, Any] = {"student": run.student, "row": run.row, "seed": run.seed}
        if (run.row, run.student, run.seed) == FAILED:
            step = output / run.steps[-3]
            step.mkdir(parents=True)
            (step / "began").touch()
            (step / "failed").write_text("error: no memory\n")
        if (run.row, run.student, run.seed) in (UNFINISHED, FAILED):
            continue
        texts = {}
        for decoding in ("beam5", "greedy"):
            lines = sentences(RIGHT[run.row] - 0.1 * (decoding == "greedy"), number + 1)
            (output / "translation").write_text("\n".join(lines) + "\n")
            texts[decoding] = keep(output, output / "translation")
        steps = {step.folder: step for step in made.steps}
        train = [one for one in run.steps if steps[one].kind == "train"][-1]
        append(output, entry(**cell, model=f"{train}/model", translations=texts,
                             references=references))  # fmt: skip
    made.write(output, Path("made.yaml"), {})
    return output


@pytest.fixture(scope="module")
def found(folder: Path) -> View:
    table = parse_table(mapping(curves=[CURVE]), "made", "made.yaml")
    path = folder / "made.paper.de-en" / "plan.json"
    return view(table, read_plan(path), folder, 1000)


def bleu(row: str, student: str, seeds: int, decoding: str = "beam5") -> list[float]:
    """By sacrebleu, of the sentences that the fixture drew."""
    runs = plan(curves=[CURVE]).runs
    scores = []
    for seed in range(1, seeds + 1):
        number = next(n for n, run in enumerate(runs) if (run.row, run.student, run.seed) ==
                      (row, student, seed))  # fmt: skip
        lines = sentences(RIGHT[row] - 0.1 * (decoding == "greedy"), number + 1)
        scores.append(sacrebleu.corpus_bleu(lines, [sentences(1, 0)]).score)
    return scores


def test_the_numbers_are_sacrebleus(found: View) -> None:
    for row in ("none", "word", "seq"):
        for decoding in ("beam5", "greedy"):
            expected = bleu(row, "tiny", 2, decoding)
            score = found.line("tiny", row).scores[decoding]["BLEU"]
            assert score.runs == pytest.approx(expected, abs=1e-9)
            assert score.mean == pytest.approx(statistics.mean(expected))
            base = bleu("none", "tiny", 2, decoding)
            if row != "none":
                expected_difference = statistics.mean(expected) - statistics.mean(base)
                assert score.difference == pytest.approx(expected_difference)
                assert score.paired is not None  # all of tiny's rows have seeds 1 and 2, or one


def test_a_model_that_came_out_otherwise_is_told(tmp_path: Path) -> None:
    """Trained again on another machine, for this table or another: who learnt from which."""
    rows: dict[str, Any] = {"rows": {"none": {}, "seq": {"text": "kd"}}, "published": [],
                            "students": {"tiny": {"model": "tiny"}}}  # fmt: skip
    made, table = plan(**rows), parse_table(mapping(**rows), "made", "made.yaml")
    path = made.write(tmp_path, Path("made.yaml"), {})
    translate = {step.folder for step in made.steps if step.kind == "translate"}
    runs = {(run.student, run.row, run.seed): run for run in made.runs}
    taught = made.runs[0].trained

    def line(run: Run, words: int, needed: float = 0, took: float = 5, **more: Any) -> None:
        (tmp_path / "text").write_text("a\n" * 29 + "a " * words + "\n")
        name = keep(tmp_path, tmp_path / "text")
        told = entry(run.row, run.seed, f"{run.trained}/model", student=run.student,
                     translations=dict.fromkeys(("beam5", "greedy"), name), references=name,
                     needed={taught: needed} if needed else {}, **more)  # fmt: skip
        found = next(folder for folder in run.steps if folder in translate)
        told["training"]["seconds"] = took
        append(tmp_path, {"translated": found, **told})

    def told() -> list[str]:
        page = view(table, read_plan(path), tmp_path, 1000)
        said = [block.text for block in document(page, SCALE) if isinstance(block, Text)]
        return [text for text in said if "trained more than once" in text]

    teacher = made.runs[0]
    line(runs["tiny", "none", 1], 1)
    line(runs["tiny", "seq", 1], 2, needed=40.5)
    line(teacher, 1, took=40.5, scores={"beam5": {"BLEU": 31.0, "chrF": 50.0}})
    assert told() == []
    line(teacher, 5, translated="steps/translate-other")  # searched otherwise
    line(teacher, 1, took=44.0)  # the same result
    assert told() == []
    line(runs["tiny", "seq", 2], 3, needed=60.5)  # recorded before its teacher
    line(teacher, 2, took=60.5, table="another", scores={"beam5": {"BLEU": 32.5, "chrF": 50.0}})
    assert told() == [
        "teacher, seed 1: trained more than once, with different results. BLEU (beam5): 31.00, "
        "from which seq (seed 1) learnt; 32.50, from which seq (seed 2) learnt."
    ]
    line(runs["tiny", "none", 1], 4)
    assert told()[0] == (
        "none, seed 1: trained more than once, with different results. BLEU (beam5): 20.00; 20.00."
    )


def test_differences_are_of_the_seeds_that_both_have(found: View) -> None:
    """The row `store` has seed 1 alone, the baseline 1 and 2; the teacher is no student's seed."""
    (base, other), (ours,) = bleu("none", "small", 2), bleu("store", "small", 1)
    score = found.line("small", "store").scores["beam5"]["BLEU"]
    assert score.difference == pytest.approx(ours - base)
    assert score.paired is None
    assert found.line("small", "seq").scores["beam5"]["BLEU"].paired is not None
    teacher = found.line("small", "teacher").scores["beam5"]["BLEU"]
    assert teacher.difference == pytest.approx(teacher.mean - (base + other) / 2)
    text = markdown(document(found, SCALE))
    assert "store: its differences to none are of seed 1 alone." in text
    assert "teacher: its differences" not in text


def test_what_is_unfinished_or_failed_is_told(found: View) -> None:
    lines = found.lines["small"]
    assert {line.row: (line.state, line.why) for line in lines if line.why} == {
        "store": ("unfinished", "store: unfinished, 1 of 2 runs"),
        "near": (
            "failed",
            f"near: failed, 1 of 2 runs: error: no memory (log: {_failed_step()}/log)",
        ),
        "bt": ("not run", "bt: not run: needs another teacher"),
    }
    text = markdown(document(found, SCALE))
    assert all(f"{line.why}." in text for line in lines if line.why)
    assert [line.row for line in found.lines["tiny"]][-2:] == ["bt", "teacher"]  # and no near


def _failed_step() -> str:
    row, student, seed = FAILED
    runs = plan(curves=[CURVE]).runs
    return next(r for r in runs if (r.row, r.student, r.seed) == (row, student, seed)).steps[-3]


def test_ours_and_theirs_are_compared_by_difference(found: View) -> None:
    (numbers,) = found.table.published
    compared = {row.label: row for row in found.compared(numbers)["small"]}
    assert compared["none"].published_difference is None
    assert compared["none"].verdict == ""
    assert compared["word"].published_difference == pytest.approx(1.5)
    assert compared["seq"].published_difference == pytest.approx(-1)
    assert compared["teacher"].published_difference == pytest.approx(10)
    ours = statistics.mean(bleu("word", "small", 2)) - statistics.mean(bleu("none", "small", 2))
    assert compared["word"].ours_difference == pytest.approx(ours)
    assert {label: row.verdict for label, row in compared.items() if row.verdict} == {
        "word": "same sign", "seq": "same sign", "teacher": "same sign",
    }  # fmt: skip


def test_signs() -> None:
    assert Compared("a", 1, -0.5, 1, 0.1).verdict == "other sign"
    assert Compared("a", 1, 0.5, 1, 0.1).verdict == "same sign"
    assert Compared("a", 1, 0.5, 1, 0.0).verdict == "no difference"
    for unknown in (Compared("a", 1, None, 1, 0.1), Compared("a", 1, 0.5, 1, None)):
        assert unknown.verdict == ""


def test_markdown(found: View) -> None:
    text = markdown(document(found, SCALE))
    mean = statistics.mean(bleu("word", "tiny", 2))
    row = next(line for line in text.split("## Student: tiny")[1].splitlines() if "| word " in line)
    assert f"| {mean:.2f} ± " in row
    assert "Table made, scale paper, data de-en, seeds 2 (a remark)." in text
    assert "## Published" in text
    assert "tok. BLEU. Source: Table 3. Ours: BLEU (beam5) on de-en." in text
    assert "least p" in text.split("## Student: tiny")[1]
    assert "BLEU|" in text  # the signature


def test_rows_that_train_otherwise_are_named(found: View) -> None:
    blocks = document(found, SCALE)
    assert (
        Text("All students of one kind have the same updates, batches and learning rate.") in blocks
    )
    rows = found.table.rows
    word, seq = rows["word"], rows["seq"]
    word = replace(word, flags={**word.flags, "--max-update": ("9", "ours")})
    changed = {"word": word, "seq": replace(seq, longer=2)}
    view = replace(found, table=replace(found.table, rows=rows | changed))
    told = [b.text for b in document(view, SCALE) if isinstance(b, Text)]
    assert (
        "Other updates, batches or learning rate: word (--max-update 9), seq (2 times the updates)."
    ) in told
    assert ["row seq", "updates", "2 times", "ours"] in provenance(view.table).rows
    assert "--max-update" in BUDGET


def test_provenance_names_every_value(found: View) -> None:
    rows = [tuple(row) for row in provenance(found.table).rows]
    for expected in (
        ("decoding beam5", "--beam", "5", "section 4"),
        ("student tiny", "model", "tiny", "Table 1"),
        ("row word", "--kd-weight", "0.5", "Table 2"),
        ("corpus both", "parts", "gold:2, teacher", "section 3"),
    ):
        assert expected in rows
    assert all(row[3] for row in rows)


def test_what_a_scale_changes_is_told(found: View) -> None:
    weight, rate = ("0.9", "ours"), ("2", "ours")
    scale = Scale("small", "toy", models={"student": "tiny"}, rows={"word": {"--lr": rate}},
                  flags={"row_flags": {"--kd-weight": weight}})  # fmt: skip
    on_toy = replace(found, plan={**found.plan, "data": "toy"})
    _, begun, text = markdown(document(on_toy, scale)).partition("Scale small, or a flag of this")
    assert begun
    for row in ("| data |  | toy |", "| every student | model | tiny |", "| row word | --lr | 2 |",
                "| rows that have it | --kd-weight | 0.9 |"):  # fmt: skip
        assert row in text
    told = [b.text for b in document(found, scale) if isinstance(b, Text)]
    assert "Other updates, batches or learning rate: word (--lr 2)." in told
    assert "took these instead" not in markdown(document(found, SCALE))


def test_latex(found: View) -> None:
    text = latex(document(found, SCALE))
    for begin, end in ((r"\begin{tabular}", r"\end{tabular}"), (r"\toprule", r"\bottomrule")):
        assert text.count(begin) == text.count(end) > 2
    for table in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, flags=re.S):
        lines = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert len({line.count(" & ") for line in lines}) == 1
    assert escaped("50 % of a_b & c") == r"50 \% of a\_b \& c"
    outside = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.S)
    assert not re.search(r"(?<!\\)[_#^~]", outside)


def test_csv(found: View) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    (row,) = (r for r in rows if (r["student"], r["row"], r["decoding"], r["metric"]) ==
              ("tiny", "word", "greedy", "BLEU"))  # fmt: skip
    assert float(row["mean"]) == pytest.approx(statistics.mean(bleu("word", "tiny", 2, "greedy")))
    (later,) = (r for r in rows if (r["student"], r["row"]) == ("tiny", "bt"))
    assert later["state"] == "not run"


class Tags(HTMLParser):
    """Every element that is opened is closed, inside the one that it was opened in."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(found: View) -> None:
    page = html(document(found, SCALE, pictures(found)))
    assert "http" not in page
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.seen.count("figure") == tags.seen.count("svg") >= 4
    assert 'name="viewport"' in page
    assert "@media print" in page
    identifiers = re.findall(r' id="([^"]+)"', page)
    known = set(identifiers)
    assert all(name in known for name in re.findall(r'href="#([^"]+)"', page))
    assert page == html(document(found, SCALE, pictures(found)))  # the same bytes each time


def test_pictures_have_named_axes(found: View) -> None:
    drawn = {each.name: each for each in pictures(found)}
    captions = [each.caption for each in drawn.values()]
    assert any("differences to none" in each and "hollow: published" in each for each in captions)
    assert drawn["curve-1"].caption.startswith("Sizes")
    assert ">million</text>" in drawn["curve-1"].svg
    assert ">BLEU (beam5)</text>" in drawn["curve-1"].svg


def test_the_command_writes_four_files_and_the_pictures(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "made.yaml"
    table.write_text(to_json(mapping()))  # JSON is YAML
    made = read_plan(folder / "made.paper.de-en" / "plan.json")
    path = folder / "made.paper.de-en" / "second.json"
    path.write_text(to_json({**made, "file": str(table)}))
    cli.main(["report", str(path), "--output", str(tmp_path / "page"), "--shuffles", "1000"])
    files = {p.name: p.read_text() for p in (tmp_path / "page").iterdir()}
    assert {"table.csv", "table.html", "table.md", "table.tex"} <= files.keys()
    shown = re.findall(r"!\[.+\]\((.+)\)", files["table.md"])
    assert shown
    assert set(shown) == {name for name in files if name.endswith(".svg")}
    for name in shown:
        assert ElementTree.fromstring(files[name]).tag == "{http://www.w3.org/2000/svg}svg"
    with pytest.raises(SystemExit, match="--shuffles 5 is too few for a p value; give 1000"):
        cli.main(["report", str(path), "--shuffles", "5"])


def test_flags_that_are_changed_and_changed_back(tmp_path: Path) -> None:
    """The page is of the plan's own models, whatever was run in between."""
    table, made = parse_table(mapping(), "made", "made.yaml"), plan()
    (tmp_path / "text").write_text("a b c d\n")
    text = keep(tmp_path, tmp_path / "text")
    run = next(run for run in made.runs if run.row == "word")
    cell: dict[str, Any] = {"student": run.student, "row": run.row, "seed": run.seed}
    own = f"{next(step for step in reversed(run.steps) if '/train-' in step)}/model"
    texts = dict.fromkeys(("beam5", "greedy"), text)
    for model in (own, "steps/train-other/model"):
        append(tmp_path, entry(**cell, model=model, translations=texts, references=text))
    found = view(table, {**made.everything(), "file": "", "changes": {}}, tmp_path, 1000)
    assert [one["model"] for one in found.line(run.student, "word").entries] == [own]


def test_an_empty_ledger_is_a_page_of_what_is_to_come(tmp_path: Path) -> None:
    table = parse_table(mapping(), "made", "made.yaml")
    empty = view(table, {**plan().everything(), "file": "", "changes": {}}, tmp_path)
    assert empty.line("small", "word").why == "word: unfinished, 0 of 2 runs"
    blocks = document(empty, SCALE, pictures(empty))
    assert any(isinstance(block, Grid) for block in blocks)
    assert "<figure" not in html(blocks)
