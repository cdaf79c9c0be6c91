"""Teacher worse than gold: by a store, beside the teacher's own log-probabilities; by a file."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils

from kd_plugin.commands import cli
from kd_plugin.tasks import DistillationTask

from . import made
from .made import Record, manifest, read
from .test_filter import content, texts

LENPEN = 0.7


@pytest.fixture(scope="module")
def corpus(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the teacher writes when it may not search, and a few of its references."""
    folder = tmp_path_factory.mktemp("gold") / "corpus"
    cli.main(["generate", str(data), "--path", str(teacher), "--output", str(folder), "--beam", "2",
              "--nbest", "2", "--max-len-b", "4", "--lenpen", str(LENPEN), "--engine", "fairseq",
              "--cpu"])  # fmt: skip
    return folder


def run(data: Path, corpus: Path, output: Path, *flags: object) -> list[Record]:
    words = ["filter", corpus, data, "--output", output, "--subwords", "none", *flags]
    cli.main([*map(str, words)])
    return read(output)


def references(data: Path, teacher: Path) -> list[float]:
    """The score that a search would give each reference, by stock fairseq's model."""
    (model,), _ = checkpoint_utils.load_model_ensemble([str(teacher)])
    model.eval()
    task = DistillationTask.of_data(str(data))
    pairs = task.language_pairs(str(data), "train")
    scores = []
    with torch.no_grad():
        for row in range(len(pairs)):
            sample = pairs.collater([pairs[row]])
            logits, _ = model(**sample["net_input"])
            found = logits[0].double().log_softmax(-1).gather(1, sample["target"][0][:, None])
            scores.append(float(found.sum()) / len(found) ** LENPEN)
    return scores


def test_by_a_store(data: Path, teacher: Path, corpus: Path, whole: Path, tmp_path: Path) -> None:
    gold, lines = references(data, teacher), made.references(data)
    before = read(corpus)
    apart = [(h, r["id"]) for r in before for h in r["hypotheses"] if h["text"] != lines[r["id"]]]
    assert min(abs(h["score"] - gold[row]) for h, row in apart) > 1e-5
    found = run(data, corpus, tmp_path / "out", "--worse-than-gold", whole)
    expected = [
        [
            h["text"]
            for h in record["hypotheses"]
            if h["text"] == lines[record["id"]] or h["score"] >= gold[record["id"]]
        ]
        for record in before
    ]
    assert texts(found) == expected
    dropped = sum(len(r["hypotheses"]) for r in before) - sum(map(len, expected))
    counts = manifest(tmp_path / "out")["counts"]
    assert counts["hypotheses dropped: worse than gold"] == dropped > 0
    assert counts["hypotheses kept"] > 0
    run(data, corpus, tmp_path / "three", "--worse-than-gold", whole, "--workers", 3)
    assert content(tmp_path / "three") == content(tmp_path / "out")
    best = min(h["score"] - gold[r["id"]] for r in before for h in r["hypotheses"])
    all_kept = run(data, corpus, tmp_path / "all", "--worse-than-gold", whole,
                   "--gold-margin", -best + 1e-3)  # fmt: skip
    assert texts(all_kept) == texts(before)


def test_the_reference_is_no_worse(data: Path, teacher: Path, whole: Path, tmp_path: Path) -> None:
    """Whatever its score says: a store of 16 bits rounds."""
    records = made.records_of(data)
    words = DistillationTask.of_data(str(data)).target_dictionary
    for row, line in enumerate(made.references(data)):
        tokens = words.encode_line(line, add_if_not_exist=False).tolist()
        records[row] = {"id": row, "hypotheses": [
            {"score": -99.0, "text": line, "tokens": tokens},
            {"score": None, "text": "W1", "tokens": [5] * 20 + [2]}]}  # fmt: skip
    records[0]["hypotheses"].pop(0)
    folder = made.write(tmp_path / "corpus", data, records)
    taught_by(folder, json.loads(next(whole.glob("train.*manifest.json")).read_text()))
    found = run(data, folder, tmp_path / "out", "--worse-than-gold", whole)
    assert texts(found) == [[], *([line] for line in made.references(data)[1:])]
    assert found[0]["reason"] == "filtered: worse than gold"


def taught_by(corpus: Path, store: dict[str, Any]) -> None:
    path = next(corpus.glob("*.manifest.json"))
    told = json.loads(path.read_text())
    told["settings"]["teacher_sha256"] = store["settings"]["teacher_sha256"]
    path.write_text(json.dumps(told))


def test_by_a_file_and_after_select(data: Path, corpus: Path, tmp_path: Path, whole: Path) -> None:
    draw, lines = random.Random(2), made.references(data)
    before = read(corpus)
    gold = [draw.choice(["nan", f"{-draw.random() * 3:.4f}"]) for _ in before]
    path = tmp_path / "gold"
    path.write_text("".join(f"{number}\n" for number in gold))
    found = run(data, corpus, tmp_path / "out", "--gold-scores", path)
    assert texts(found) == [
        [h["text"] for h in record["hypotheses"] if h["text"] == line or not h["score"] < number]
        for record, number, line in zip(before, map(float, gold), lines, strict=True)
    ]
    counts = manifest(tmp_path / "out")["counts"]
    assert counts["sentences whose reference has no score"] == gold.count("nan") > 0
    cli.main(
        ["select", str(corpus), "--n", "2", "--subwords", "none", "--output", str(tmp_path / "one")]
    )
    run(data, tmp_path / "one", tmp_path / "after", "--worse-than-gold", whole)
    assert manifest(tmp_path / "after")["counts"]["hypotheses dropped: worse than gold"] > 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--worse-than-gold", "{whole}", "--gold-scores", "x"), "both score the references"),
        (("--gold-margin", "1"), "--gold-margin 1.0 needs scores of the references"),
        (("--gold-margin", "-1", "--gold-scores", "x"), "--gold-margin -1.0 is out of range"),
        (("--gold-scores", "{tmp}/none"), "--gold-scores .* cannot be read"),
        (("--gold-scores", "{tmp}/short"), "has fewer lines than the corpus has sentences"),
        (("--gold-scores", "{tmp}/words"), "line 1 has 'no' where a number belongs"),
        (("--worse-than-gold", "{features}"), "is a store of features and has no log-prob"),
        (("--worse-than-gold", "{tmp}"), "should hold one complete set of shards of train"),
    ],
)
def test_bad_input(
    data: Path, corpus: Path, whole: Path, features: Path, tmp_path: Path,
    flags: tuple[str, ...], words: str,
) -> None:  # fmt: skip
    (tmp_path / "short").write_text("-1\n")
    (tmp_path / "words").write_text("no\n" * 150)
    filled = [flag.format(whole=whole, features=features, tmp=tmp_path) for flag in flags]
    with pytest.raises(SystemExit, match=words):
        run(data, corpus, tmp_path / "out", *filled)


def test_a_store_of_another_teacher_or_text(
    data: Path, distilled: Path, whole: Path, corpus: Path, tmp_path: Path
) -> None:
    strange = made.write(tmp_path / "strange", data, made.records_of(data))
    with pytest.raises(SystemExit, match=r"is of another teacher than .*; give the store of the t"):
        run(data, strange, tmp_path / "out", "--worse-than-gold", whole)
    with pytest.raises(SystemExit, match=r"was made of other text than train of the data; give"):
        run(distilled, corpus, tmp_path / "out", "--worse-than-gold", whole)
    path = next(strange.glob("*.manifest.json"))
    told = json.loads(path.read_text())
    del told["settings"]["teacher_sha256"]
    path.write_text(json.dumps(told))
    with pytest.raises(SystemExit, match="was scored by no teacher of ours, and a store's"):
        run(data, strange, tmp_path / "out", "--worse-than-gold", whole)
    shutil.rmtree(strange)
