"""``fairseq-kd plan``: what it writes, what it refuses."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml

from kd_plugin.commands import cli
from kd_plugin.tables.locate import CONFIGS, REPOSITORY

from .test_read import MULTI30K

TOY = (CONFIGS / "tables" / "toy.yaml").read_text()


def plan(*words: object) -> None:
    cli.main(["plan", *map(str, words)])


def test_a_plan_and_its_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a table that is not in the repository, with a model file beside it."""
    path = tmp_path / "mine.yaml"
    path.write_text(TOY.replace("model: toy-student", "model: own.args"))
    (tmp_path / "own.args").write_text("--arch transformer --optimizer adam\n")
    plan(path, "--scale", "paper", "--seeds", 1, "--output", tmp_path / "out")
    written = Path(capsys.readouterr().out.strip())
    assert written == tmp_path / "out" / "mine.paper.toy" / "plan.json"
    made = json.loads(written.read_text())
    assert (made["table"], made["data"], made["seeds"]) == ("mine", "toy", 1)
    scripts = {
        step["title"]: (tmp_path / "out" / step["folder"] / "run.sh").read_text()
        for step in made["steps"]
    }
    for title, script in scripts.items():
        assert script.startswith(f"# {title}\nset -euo pipefail\n")
    assert f" {tmp_path}/own.args " in scripts["none, student, seed 1: training"]


def test_the_manuals_table_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/tables.md's, on the data set of README.md, as they stand there."""
    for page, name in (("docs/tables.md", "mine.yaml"), ("README.md", "mine-data.yaml")):
        block, *_ = re.findall("```yaml\n(.*?)```", (REPOSITORY / page).read_text(), flags=re.S)
        (tmp_path / name).write_text(block)
    (tmp_path / "own.args").write_text("--arch transformer --optimizer adam\n")
    (tmp_path / "corpus").mkdir()
    for name in ("train", "valid", "test"):
        (tmp_path / "corpus" / f"{name}.de").touch()
        (tmp_path / "corpus" / f"{name}.en.gz").touch()
    plan(tmp_path / "mine.yaml", "--from", tmp_path / "corpus", "--list")
    written = capsys.readouterr().out
    assert f"{tmp_path}/mine-data.yaml" in written
    assert written.count("/scripts/train.sh") == 1 + 3 * 2 * 3  # a teacher; rows, students, seeds


@pytest.mark.parametrize("table", ["multi30k_all", "multi30k_methods"])  # whole, and in halves
def test_it_is_no_matter_where_raw_text_lies(table: str, tmp_path: Path) -> None:
    """Steps have the same names, so that what is done stands; another text makes others."""

    def steps(here: str, words: str, packed: bool) -> list[str]:
        folder = tmp_path / here
        folder.mkdir()
        for name in MULTI30K:
            for code in ("de", "en"):
                text = f"{words} of {name}.{code}\n".encode()
                file = folder / (f"{name}.{code}" + ".gz" * packed)
                file.write_bytes(gzip.compress(text) if packed else text)
        (folder / "other.de").write_text(here)  # which the data set does not name
        plan(table, "--from", folder, "--output", tmp_path / "out")
        (made,) = (tmp_path / "out").glob(f"{table}.*/plan.json")
        return [step["folder"] for step in json.loads(made.read_text())["steps"]]

    first = steps("one", "lines", False)
    assert steps("two", "lines", True) == first
    assert not {*steps("three", "verses", False)} & {*first}


def test_what_is_fetched_is_the_text_that_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps have the same names, whether a program fetches it or it lies in a folder."""
    known, origins = tmp_path / "known.yaml", (("--from", tmp_path / "raw"), ("--download",))
    cfg = yaml.safe_load((CONFIGS / "data" / "multi30k.yaml").read_text())
    (tmp_path / "raw").mkdir()
    names = dict(zip(("train", "valid", "test", "test1", "test2"), MULTI30K, strict=True))
    for key in cfg["sha256"]:
        split, code = key.split(".")
        (tmp_path / "raw" / f"{names[split]}.{code}").write_text(f"{key}\n")
        cfg["sha256"][key] = hashlib.sha256(f"{key}\n".encode()).hexdigest()
    known.write_text(json.dumps(cfg))
    made = []
    for number, origin in enumerate(origins):
        plan("multi30k_all", "--data", known, *origin, "--output", tmp_path / f"out{number}")
        written = Path(capsys.readouterr().out.strip())
        made.append([step["folder"] for step in json.loads(written.read_text())["steps"]])
    assert made[0] == made[1]


def test_other_models_and_another_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a call; the plan remembers them for the page."""
    (tmp_path / "own.args").write_text("--arch transformer --optimizer adam --max-update 40\n")
    flags = ["--teacher", "multi30k-teacher", "--student", tmp_path / "own.args"]
    plan("toy", *flags, "--checkpoint-rule", "average:2", "--output", tmp_path / "out")
    printed = capsys.readouterr()
    path = Path(printed.out.strip())
    said = f"every student is {flags[3]}, by scale paper or a flag of this call, whatever the table"
    assert said in printed.err
    made = json.loads(path.read_text())
    told = {"teacher": flags[1], "student": str(flags[3]), "checkpoint": "average:2"}
    assert made["changes"] == told
    scripts = {s["title"]: (tmp_path / "out" / s["folder"] / "run.sh").read_text()
               for s in made["steps"] if "/train-" in s["folder"]}  # fmt: skip
    assert "/configs/models/multi30k-teacher.args " in scripts.pop("teacher: training")
    for script in scripts.values():
        assert f" {tmp_path}/own.args " in script
        assert "--save-interval-updates 10 --keep-interval-updates 2" in script
    cli.main(["report", str(path), "--shuffles", "1000"])
    page = path.with_name("table.md").read_text()
    assert "| every student | model | " in page
    assert "| checkpoint |  | average:2 |" in page


def test_a_list_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan("toy", "--list", "--output", tmp_path / "out")
    assert '"$ROOT"/scripts/train.sh' in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "instead", "words"),
    [
        ("method: seq_kd,", "method: seq_kd, flags: {--kd-wieght: 1},",
         "seq_kd, student, seed 1: training: .*unrecognized arguments: --kd-wieght 1"),
        ("teacher: live", "teacher: live, flags: {--kd-target: topp}",
         "invalid choice: 'topp'"),
        ("teacher: live", "teacher: live, flags: {--kd-weight: -1}",
         r"word_kd, student, seed 1: training: --kd-weight -1\.0 is out of range; give 0 to"),
        ("greedy: {--beam: 1,", "greedy: {--beam: one,", "--beam: invalid int value: 'one'"),
        ("{--k: 8,", "{--kk: 8,",
         r"neighbours nearest-8 \(data: toy\): .*unrecognized arguments: --kk 8"),
        ("model: toy-student", "model: toy-pupil", "'toy-pupil' is none of configs/models"),
        ("data: toy", "data: tyo", "'tyo' is none of configs/data"),
    ],
)  # fmt: skip
def test_a_typo_is_named(given: str, instead: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert given in TOY
    path.write_text(TOY.replace(given, instead, 1))
    with pytest.raises(SystemExit, match=words):
        plan(path, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("tyo --list", "'tyo' is none of configs/tables"),
        ("toy", "--output is not given"),
        ("toy --list --seeds 0", "--seeds 0 is too small"),
        ("toy --list --student tyo", "'tyo' is none of configs/models"),
        ("toy --list --data gone.yaml", r"gone\.yaml does not exist"),
        ("toy --list --data multi30k", "give --from FOLDER, or --download"),
        ("toy --list --from corpus", "--from corpus would not be read: .* name your own data set"),
        ("toy --list --data multi30k --from gone", "--from gone is no folder"),
        ("wang_2021 --list", "'wmt14_en_de' is none of configs/data|--from FOLDER"),
    ],
)
def test_what_is_refused(given: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        plan(*given.split())
