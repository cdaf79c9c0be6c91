"""Selection against brute force, the same bytes whatever happens, and the chain of commands."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics import BLEU, CHRF

from kd_plugin.commands import cli
from kd_plugin.tasks import DistillationTask

from . import made
from .made import NAME, Record, manifest, read
from .test_similarity import by_the_paper

PLAIN = ("--subwords", "none", "--block-size", "7")


@pytest.fixture(scope="module")
def records(data: Path) -> list[Record]:
    return made.records_of(data)


@pytest.fixture(scope="module")
def corpus(data: Path, records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("select") / "corpus", data, records)


def select(*arguments: object) -> None:
    cli.main(["select", *map(str, arguments), *PLAIN])


def brute_force(records: list[Record], score: Any, n: int = 1) -> list[list[Record]]:
    """What should be kept: the best by ``score``, then by the model, then the earlier."""

    def key(row: int, i: int, hypothesis: Record) -> Any:
        model = -math.inf if hypothesis["score"] is None else hypothesis["score"]
        return (-round(score(row, i, hypothesis), 9), -model, i)

    chosen = []
    for row, record in enumerate(records):
        order = sorted(
            range(len(record["hypotheses"])), key=lambda i: key(row, i, record["hypotheses"][i])
        )
        chosen.append([record["hypotheses"][i] for i in order[:n]])
    return chosen


@pytest.mark.parametrize("metric", ["paper", "exp", "chrf"])
def test_by_reference(
    data: Path, corpus: Path, records: list[Record], tmp_path: Path, metric: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    references = made.references(data)
    theirs: Any = CHRF() if metric == "chrf" else BLEU(effective_order=True)

    def score(row: int, i: int, hypothesis: Record) -> float:
        if metric == "paper":
            return by_the_paper(hypothesis["text"].split(), references[row].split())
        return float(theirs.sentence_score(hypothesis["text"], [references[row]]).score)

    flags = ["--metric", "chrf"] if metric == "chrf" else ["--smoothing", metric]
    out, report = tmp_path / "out", tmp_path / "report.json"
    select(corpus, "--by", "reference", "--data", data, "--output", out, "--n", 2, *flags,
           "--report", report)  # fmt: skip
    kept = read(out)
    assert [r["hypotheses"] for r in kept] == brute_force(records, score, 2)
    assert [r.get("reason") for r in kept] == [r.get("reason") for r in records]
    told = json.loads(report.read_text())
    decoded = [row for row, record in enumerate(records) if record["hypotheses"]]
    worst = [order[-1:] for order in brute_force(records, score, 99)]
    for name, texts in {
        "chosen": brute_force(records, score),
        "oracle": brute_force(records, score),
        "anti_oracle": worst,
        "best": [record["hypotheses"][:1] for record in records],
    }.items():
        lines = [texts[row][0]["text"] for row in decoded]
        expected = type(theirs)().corpus_score(lines, [[references[row] for row in decoded]])
        assert told[name] == pytest.approx(expected.score, abs=1e-9)
    assert told["anti_oracle"] < told["best"] < told["oracle"]
    assert sum(told["first_choices"].values()) == len(decoded)
    assert sum(told["choices"].values()) == 2 * len(decoded)
    assert f"oracle {told['oracle']:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_mbr(corpus: Path, records: list[Record], tmp_path: Path, metric: str) -> None:
    theirs: Any = CHRF() if metric == "chrf" else BLEU(effective_order=True)

    def score(row: int, i: int, hypothesis: Record) -> float:
        others = [h["text"] for h in records[row]["hypotheses"]]
        scores = [theirs.sentence_score(hypothesis["text"], [text]).score for text in others]
        return float(sum(scores) / len(scores))

    flags = ["--metric", metric, "--smoothing", "exp", "--n", 3]
    select(corpus, "--by", "mbr", "--output", tmp_path / "out", *flags)
    assert [r["hypotheses"] for r in read(tmp_path / "out")] == brute_force(records, score, 3)


def test_by_scores_of_a_file(corpus: Path, records: list[Record], tmp_path: Path) -> None:
    generator = random.Random(4)
    numbers = [[generator.choice([1, 2, 3.5]) for _ in r["hypotheses"]] for r in records]
    (tmp_path / "qe").write_text("".join(f"{n}\n" for row in numbers for n in row))
    select(corpus, "--scores", tmp_path / "qe", "--output", tmp_path / "out")
    expected = brute_force(records, lambda row, i, hypothesis: numbers[row][i])
    assert [r["hypotheses"] for r in read(tmp_path / "out")] == expected


def test_samples_follow_the_models_probability(data: Path, tmp_path: Path) -> None:
    """Many sentences with the same three hypotheses; the search divided by length ** 0.5."""
    words = DistillationTask.of_data(str(data)).target_dictionary
    chances = {"W1": 0.6, "W2 W3": 0.3, "W4 W5 W6": 0.1}
    same = [
        {"score": math.log(p) / (len(text.split()) + 1) ** 0.5, "text": text,
         "tokens": words.encode_line(text).tolist()}
        for text, p in chances.items()
    ]  # fmt: skip
    records: list[Record] = [{"id": row, "hypotheses": same} for row in range(3000)]
    corpus = made.write(tmp_path / "corpus", data, records, lenpen=0.5)
    kept = {}
    for seed in (1, 2):
        select(corpus, "--by", "sample", "--seed", seed, "--n", 2, "--output", tmp_path / f"{seed}")
        kept[seed] = read(tmp_path / f"{seed}")
        for text, chance in chances.items():
            times = sum(record["hypotheses"][0]["text"] == text for record in kept[seed])
            assert abs(times / 3000 - chance) < 0.04
        assert all(len({h["text"] for h in record["hypotheses"]}) == 2 for record in kept[seed])
    assert kept[1] != kept[2]


def test_copies_by_rank(corpus: Path, records: list[Record], tmp_path: Path) -> None:
    select(corpus, "--copies", "3,0,2,1", "--output", tmp_path / "out")
    for record, kept in zip(records, read(tmp_path / "out"), strict=True):
        first = record["hypotheses"]
        expected = [first[i] for i in (0, 0, 0, 2, 2, 3)] if first else []
        assert kept["hypotheses"] == expected


def test_corpora_are_pooled(data: Path, corpus: Path, tmp_path: Path) -> None:
    records, others = made.records_of(data), made.records_of(data, K=2, seed=9)
    second = made.write(tmp_path / "second", data, others)
    select(corpus, second, "--n", 9, "--output", tmp_path / "out")
    pooled = [
        {**one, "hypotheses": one["hypotheses"] + other["hypotheses"]}
        for one, other in zip(records, others)
    ]
    expected = brute_force(pooled, lambda row, i, h: -1e9 if h["score"] is None else h["score"], 9)
    assert [r["hypotheses"] for r in read(tmp_path / "out")] == expected


def test_scores_of_a_pool_are_divided_by_one_power_of_the_length(
    data: Path, corpus: Path, tmp_path: Path
) -> None:
    """That of the first corpus, which the manifest of the pool says."""
    records, others = made.records_of(data), made.records_of(data, K=2, seed=9)
    second = made.write(tmp_path / "second", data, others, lenpen=0.5)
    select(corpus, second, "--n", 9, "--output", tmp_path / "out")
    for hypothesis in (one for record in others for one in record["hypotheses"]):
        if hypothesis["score"] is not None:
            hypothesis["score"] /= len(hypothesis["tokens"]) ** 0.5
    pooled = [
        {**one, "hypotheses": one["hypotheses"] + other["hypotheses"]}
        for one, other in zip(records, others)
    ]
    expected = brute_force(pooled, lambda row, i, h: -1e9 if h["score"] is None else h["score"], 9)
    for found, ours in zip(read(tmp_path / "out"), expected, strict=True):
        assert [one["text"] for one in found["hypotheses"]] == [one["text"] for one in ours]
        scores = [[one["score"] or 0 for one in kept] for kept in (found["hypotheses"], ours)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-12)
    assert manifest(tmp_path / "out")["settings"]["lenpen"] == 1.0


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


FLAGS = ("--by", "reference", "--n", 2)


@pytest.fixture(scope="module")
def whole(data: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "out"
    select(corpus, *FLAGS, "--data", data, "--output", output, "--workers", 1)
    return output


def test_bytes_do_not_depend_on_workers(
    data: Path, corpus: Path, whole: Path, tmp_path: Path
) -> None:
    for workers in (2, 5):
        output = tmp_path / str(workers)
        select(corpus, *FLAGS, "--data", data, "--output", output, "--workers", workers)
        assert content(output) == content(whole)


def test_killed_its_bytes_are_the_same(
    data: Path, corpus: Path, whole: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    arguments = (corpus, *FLAGS, "--data", data, "--output", tmp_path / "out", "--workers", 2)
    generator = random.Random(3)
    for _ in range(6):
        process = context.Process(target=select, args=arguments)
        process.start()
        time.sleep(generator.uniform(0.05, 0.5))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    select(*arguments)
    assert content(tmp_path / "out") == content(whole)


def test_finished_and_damaged(
    data: Path, corpus: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    arguments = (corpus, *FLAGS, "--data", data, "--output", out)
    select(*arguments)
    assert "is complete: nothing to do" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"made with flags\.n 2 and this command says 3: give"):
        select(corpus, "--by", "reference", "--n", 3, *arguments[5:])
    path = out / f"{NAME}.shard0-of-1.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-3])
    select(*arguments)
    assert "is not what its manifest says" in capsys.readouterr().err
    assert path.read_bytes() == (whole / path.name).read_bytes()


def test_an_unfinished_one_names_its_command(data: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    (out / f"{NAME}.shard0-of-1.jsonl.gz.manifest.json").unlink()
    (out / f"{NAME}.shard0-of-1.jsonl.gz").unlink()
    line = json.dumps({"settings": json.dumps({"command": "select"})})
    (out / f"{NAME}.shard0-of-1.jsonl.gz.journal").write_text(line + "\n")
    with pytest.raises(SystemExit, match="is not finished; run fairseq-kd select again"):
        select(out, "--output", tmp_path / "new")


def test_history_is_a_script_that_makes_it_again(
    data: Path, corpus: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    select(whole, "--by", "mbr", "--output", tmp_path / "again")
    capsys.readouterr()
    cli.main(["history", str(tmp_path / "again")])
    lines = capsys.readouterr().out.splitlines()
    commands = [shlex.split(line) for line in lines if not line.startswith("#")]
    assert [words[:2] for words in commands] == [
        ["fairseq-kd", "generate"], ["fairseq-kd", "select"], ["fairseq-kd", "select"],
    ]  # fmt: skip
    assert commands[0][2:5] == [str(data), "--path", "TEACHER1.PT"]
    assert manifest(corpus)["sha256"] in lines[1]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(corpus, "corpus1")
    for words in commands[1:]:
        cli.main(words[1:])
    assert content(tmp_path / "corpus3") == content(tmp_path / "again")


def test_text_and_binarise_read_it(data: Path, whole: Path, tmp_path: Path) -> None:
    cli.main(
        ["text", str(whole), "--subset", "train", "-s", "xx", "-t", "yy", "--output",
         str(tmp_path / "text")]
    )  # fmt: skip
    assert len((tmp_path / "text").read_text().splitlines()) == 150
    task = DistillationTask.of_data(str(data))
    sources = task.language_pairs(str(data), "train")
    records = read(whole)
    for number, (flags, times) in enumerate([
        ([], [1]), (["--nbest", "2"], [1, 1]), (["--copies", "2,1"], [2, 1]),
        (["--nbest", "7"], [1] * 7),
    ]):  # fmt: skip
        out = str(tmp_path / f"out{number}")
        more = ["--undecoded", "drop", "--output", out]
        cli.main(["binarise", str(whole), str(data), *more, *flags])
        pairs = task.language_pairs(out, "train")
        expected = [
            (sources.src[record["id"]].tolist(), hypothesis["tokens"])
            for record in records
            for hypothesis, count in zip(record["hypotheses"], times)
            for _ in range(count)
        ]
        found = [(s.tolist(), t.tolist()) for s, t in zip(pairs.src, pairs.tgt)]
        assert found == expected


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--by", "reference"], "--by reference needs references; add --data DATA or"),
        (["--by", "scores"], "--by scores and --scores None do not fit"),
        (["--n", "0"], "--n 0 is too small"),
        (["--n", "2", "--copies", "1"], "--n 2 and --copies 1 both say how many"),
        (["--copies", "0,0"], "--copies 0,0 is no list of counts"),
        (["--copies", "-1"], "--copies -1 is no list of counts"),
        (["--workers", "0"], "--workers 0 is too small"),
        (["--references", "SHORT", "--by", "reference"], "SHORT has fewer lines than the corpus"),
        (["--references", "LONG"], "LONG has more lines than the corpus has sentences"),
        (["--references", "none"], "--references none cannot be read"),
        (["--scores", "LONG"], "LONG has 'x' where a number belongs"),
        (["--scores", "SHORT"], "SHORT has fewer lines than the corpus has hypotheses"),
        (["--subset", "valid"], "should hold one complete set of shards of valid"),
    ],
)
def test_bad_input(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("SHORT").write_text("1\n2\n")
    Path("LONG").write_text("x\n" * 999)
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
        select(corpus, "--output", "out", "--workers", 1, *flags)


def test_other_data(corpus: Path, distilled: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(distilled, other)
    for code in ("xx", "yy"):
        for ending in ("bin", "idx"):
            shutil.copy(
                other / f"valid.xx-yy.{code}.{ending}", other / f"train.xx-yy.{code}.{ending}"
            )
    with pytest.raises(SystemExit, match=r"has other sources than .*corpus translates; name"):
        select(corpus, "--by", "reference", "--data", other, "--output", tmp_path / "out")
