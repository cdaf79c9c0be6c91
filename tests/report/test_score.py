"""The command ``fairseq-kd score``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import sacrebleu

from kd_plugin.commands import cli

from .conftest import write

GOOD, POOR = "good=good0,good1,good2", "poor=poor0,poor1,poor2,poor3"
BOTH = ["--references", "ref", "--system", GOOD, "--system", POOR, "--shuffles", "1000"]


@pytest.fixture
def score(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in ``folder``; its output."""

    def run(*flags: str) -> str:
        cli.main(["score", *flags])
        return capsys.readouterr().out

    return run


def bleu(name: str, part: slice = slice(None)) -> float:
    texts = [Path(n).read_text().splitlines()[part] for n in (name, "ref")]
    return float(sacrebleu.corpus_bleu(texts[0], [texts[1]]).score)


def row(output: str, system: str) -> list[str]:
    line = next(line for line in output.splitlines() if line.startswith(f"| {system} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_seeds_are_one_system(score: Any) -> None:
    output = score(*BOTH, "--baseline", "poor", "--checkpoint-rule", "average:5")
    good, poor = ([bleu(f"{name}{i}") for i in range(n)] for name, n in (("good", 3), ("poor", 4)))
    cells = row(output, "good")
    assert cells[:3] == ["good", "3", f"{mean(good):.2f} ± {stdev(good):.2f}"]
    assert cells[4] == f"{mean(good) - mean(poor):+.2f} *"
    assert row(output, "poor")[1:3] == ["4", f"{mean(poor):.2f} ± {stdev(poor):.2f}"]
    assert row(output, "poor")[4:7] == ["", "", ""]
    assert "p < 0.05 after Holm's correction over 1 row;" in output
    assert "1,000 shuffles, seed 12345" in output
    assert f"BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}" in (
        output
    )
    assert output.count("|checkpoint:average:5\n") == 2
    assert "bootstrap" not in output
    assert "one run" not in output


def test_without_a_baseline_nothing_is_compared(score: Any) -> None:
    output = score(*BOTH)
    assert len(row(output, "good")) == 5
    assert "*" not in output


def test_length_is_that_of_bleu(score: Any) -> None:
    """Tokens of the translations over those of the references, mean over seeds."""
    lines = Path("ref").read_text().splitlines()
    Path("good0").write_text("".join(f"{line}, again!\n" for line in lines))
    output = score(*BOTH, "--json", "out")
    known = []
    for name in ("good0", "good1", "good2"):
        texts = [Path(n).read_text().splitlines() for n in (name, "ref")]
        found = sacrebleu.corpus_bleu(texts[0], [texts[1]])
        known.append(found.sys_len / found.ref_len)
    assert max(known) > 1.1
    assert row(output, "good")[-1] == f"{mean(known):.2f}"
    scores = json.loads(Path("out").read_text())["systems"][0]["scores"]
    assert scores["BLEU"]["length"] == pytest.approx(mean(known), rel=1e-12)
    assert scores["chrF"]["length"] is None


@pytest.mark.parametrize("few", ["good", "poor"])
@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_get_no_marker(score: Any, few: str, n: int) -> None:
    """Of the system or of the baseline, however large the difference."""
    files = ",".join(f"{few}{seed}" for seed in range(n))
    flags = ["--system", f"{few}={files}", "--system", POOR if few == "good" else GOOD]
    output = score("--references", "ref", *flags, "--baseline", "poor", "--json", "out")
    assert "*" not in output
    said = {1: "one run, and another seed gives other scores", 2: "two runs, too few for a test"}
    assert output.count(f"{few}: {said[n]}.") == 1
    assert said[3 - n] not in output
    assert "95 % bootstrap interval over sentences, 1,000 resamples, seed 12345" in output
    content = json.loads(Path("out").read_text())
    for system in content["systems"]:
        for name, value in system["scores"].items():
            assert value["p"] is value["p_holm"] is None
            assert value["significant"] is False
            low, high = value["interval"]
            shown = f"[{low:.2f}, {high:.2f}]" in row(output, system["name"])[2 + (name == "chrF")]
            assert shown == (system["name"] == few)
            assert low < value["mean"] < high
            assert (value["sd"] is None) == (system["n"] == 1)


def test_holm_is_over_the_rows_that_are_tested(score: Any) -> None:
    more = ["--system", "same=poor3,poor2,poor1", "--system", "one=good0", "--baseline", "poor"]
    score(*BOTH, *more, "--json", "out")
    systems = {s["name"]: s for s in json.loads(Path("out").read_text())["systems"]}
    for metric in ("BLEU", "chrF"):
        good, same = (systems[name]["scores"][metric] for name in ("good", "same"))
        assert good["p"] == pytest.approx(1 / 1001)
        assert good["p_holm"] == pytest.approx(2 / 1001)
        assert same["p_holm"] == same["p"] > 0.05
        assert (good["significant"], same["significant"]) == (True, False)
        assert systems["one"]["scores"][metric]["p"] is None


def test_json_holds_everything(score: Any) -> None:
    score(*BOTH, "--baseline", "poor", "--checkpoint-rule", "last", "--seed", "7", "--json", "out")
    content = json.loads(Path("out").read_text())
    assert [system["files"] for system in content["systems"]] == [
        [f"good{i}" for i in range(3)],
        [f"poor{i}" for i in range(4)],
    ]
    runs = [bleu(f"good{i}") for i in range(3)]
    value = content["systems"][0]["scores"]["BLEU"]
    assert value["runs"] == runs
    assert value["mean"] == pytest.approx(mean(runs))
    assert value["sd"] == pytest.approx(stdev(runs))
    assert content["sentences"] == 47
    assert content["checkpoint_rule"] == "last"
    assert content["signatures"]["chrF"].endswith("|checkpoint:last")
    assert content["test"]["shuffles"] == 1000
    assert content["test"]["seed"] == content["bootstrap"]["seed"] == 7
    assert content["versions"]["sacrebleu"] == sacrebleu.__version__
    assert [path.name for path in Path().glob("out*")] == ["out"]


def test_json_that_cannot_be_finished_leaves_the_old_one(
    score: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemExit, match="--json out cannot be written"):
        score("--references", "ref", "--system", GOOD, "--json", "out")
    assert Path("out").read_text() == "old"
    assert row(capsys.readouterr().out, "good")[1] == "3"  # the work is not lost


def test_the_seed_decides_and_other_systems_do_not(score: Any) -> None:
    near = ["--system", "near=poor3,poor2,poor1", "--baseline", "poor"]
    first = score(*BOTH, *near, "--json", "a")
    assert score(*BOTH, *near, "--json", "b") == first
    assert Path("a").read_bytes() == Path("b").read_bytes()
    score(*BOTH, *near, "--seed", "2", "--json", "c")
    alone = [*BOTH[:2], *BOTH[4:], *near]
    score(*alone, "--json", "d")
    a, c, d = (json.loads(Path(name).read_text())["systems"] for name in "acd")
    p = [systems[-1]["scores"]["BLEU"]["p"] for systems in (a, c, d)]
    assert p[0] == p[2] != p[1]


@pytest.mark.parametrize("columns", [1, 2])
def test_original_languages(score: Any, columns: int) -> None:
    codes = ["de"] * 20 + ["en"] * 24 + [""] * 3
    if columns == 2:
        codes = [f"{number}\t{code}" for number, code in enumerate(codes, 1)][::-1]
    write("orig", codes)
    output = score(*BOTH, "--baseline", "poor", "--origlang", "orig", "--json", "out")
    everything, german, english = re.split(r"Original language .*:\n", output)
    assert "Original language de, 20 of 47 sentences:" in output
    for text, part in ((everything, slice(None)), (german, slice(20)), (english, slice(20, 44))):
        runs = [bleu(f"good{i}", part) for i in range(3)]
        assert row(text, "good")[2] == f"{mean(runs):.2f} ± {stdev(runs):.2f}"
    assert "*" not in german  # only all sentences are tested
    content = json.loads(Path("out").read_text())
    assert content["sentences_by_origlang"] == {"de": 20, "en": 24, "": 3}
    value = content["systems"][0]["by_origlang"]["en"]["BLEU"]
    assert value["runs"] == [bleu(f"good{i}", slice(20, 44)) for i in range(3)]
    poor = [bleu(f"poor{i}", slice(20, 44)) for i in range(4)]
    assert value["difference"] == pytest.approx(value["mean"] - mean(poor))


def test_several_references(score: Any) -> None:
    output = score("--references", "ref", "poor0", "--system", GOOD)
    ref, other, hyp = (Path(n).read_text().splitlines() for n in ("ref", "poor0", "good0"))
    assert "nrefs:2" in output
    score("--references", "ref", "poor0", "--system", "one=good0", "--json", "out")
    (run,) = json.loads(Path("out").read_text())["systems"][0]["scores"]["BLEU"]["runs"]
    assert run == sacrebleu.corpus_bleu(hyp, [ref, other]).score


def test_an_unknown_tokenizer_dies_at_parse_time(folder: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["score", *BOTH, "--tokenize", "14a"])
    assert stopped.value.code == 2


def test_help_ends_in_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["score", "--help"])
    last = " ".join(capsys.readouterr().out.split("\n\n")[-1].split())
    assert last.startswith("example: fairseq-kd score --references")
