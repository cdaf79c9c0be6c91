"""Replication, extractive memorisation and hallucinations, in text where they are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.corpus.memorised import oscillates
from kd_plugin.tasks import DistillationTask

from .. import support
from . import made
from .made import Record

LONG = " ".join(["a"] * 12)


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("a", "b c", None), ("a b", "c", None), ("", "a b", None),
        ("a b", "c d", False),
        ("a b", LONG, True),  # 11 times
        ("a b", LONG[2:], False),  # 10 times
        ("a b", "x , " * 11, True),  # twice eleven
        ("a b", LONG.upper().lower() + " A", True),
        (" ".join(["b"] * 8), LONG, False),  # 7 times in the source: only 4 more
        (" ".join(["b"] * 7), LONG, True),
        (" ".join(["b", "c"] * 25), LONG, False),  # a source of 50 words may repeat itself
    ],
)  # fmt: skip
def test_oscillation(source: str, text: str, told: bool | None) -> None:
    assert oscillates(source, text) is told


SOURCES = [
    "w1 w2 w3 w4", "w5 w6 w7 w8 w9", "w2 w3", "w4 w4 w5 w6", "w7 w1 w1 w2 w3 w4",
    "w1 w1", "w1 w3", "w1 w4", "w1 w5", "w1 w6", "w1 w6", "w9 w8 w7 w6 w5",
]  # fmt: skip
TARGETS = [line.upper() for line in SOURCES[:-1]] + ["W1"]
OUTPUTS = [
    "W1 W2 W3 W4", "W5 W6 W7 W8 W9", "W2 W3", "W4", "W7 W1 W1 W2 W3 W4",
    "W1 W1", "W1 W1", "W1 W1", "W1 W1", "W1 W1", "W1 W1", "W1",
]  # fmt: skip
# Replicated and of 4 words or more: rows 0, 1 and 4; row 11's sides are too unlike.


@pytest.fixture(scope="module")
def small(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memorised") / "bin"
    pairs = list(zip(SOURCES, TARGETS, strict=True))
    return support.binarise(folder, {"train": pairs, "valid": pairs[:2]}, data)


def corpus_of(folder: Path, data: Path, texts: list[str]) -> Path:
    words = DistillationTask.of_data(str(data)).target_dictionary
    records: list[Record] = [
        {"id": row, "hypotheses": [{
            "score": -1.0, "text": text,
            "tokens": words.encode_line(text, add_if_not_exist=False).tolist()}]}
        for row, text in enumerate(texts)
    ]  # fmt: skip
    return made.write(folder, data, records)


@pytest.fixture(scope="module")
def output(small: Path) -> Path:
    return corpus_of(small.parent / "output", small, OUTPUTS)


def describe(data: Path, corpus: Path, *flags: object) -> None:
    words = ["describe", data, corpus, "--subwords", "none", *flags]
    cli.main([*map(str, words)])


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def test_natural_hallucinations_and_replication(small: Path, output: Path, tmp_path: Path) -> None:
    describe(small, output, "--memorisation", "--json", tmp_path / "o.json")
    gold, ours = rows(tmp_path / "o.json")
    assert gold["natural"] == 0
    assert ours["natural"] == 5 / 11  # five sources have "W1 W1"; a pair that comes twice is one
    assert ours["identical"] == sum(map(str.__eq__, OUTPUTS, TARGETS)) / 12
    assert ours["oscillatory"] == 0


def prefixes(small: Path, output: Path, folder: Path, capsys: Any) -> str:
    describe(small, output, "--write-prefixes", folder)
    return str(capsys.readouterr().out)


def test_extractive_memorisation(
    small: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "prefixes"
    assert prefixes(small, output, folder, capsys) == f"{folder}: sentences 3, prefixes 10\n"
    with pytest.raises(SystemExit, match=r"--write-prefixes .* exists; give another, or remove it"):
        describe(small, output, "--write-prefixes", folder)
    task = DistillationTask.of_data(str(folder))
    pairs = task.language_pairs(str(folder), "train")
    asked = [(pairs.src_dict.string(pairs.src[i]), pairs.tgt_dict.string(pairs.tgt[i]))
             for i in range(len(pairs))]  # fmt: skip
    expected = [
        (" ".join(SOURCES[row].split()[:size]), TARGETS[row])
        for row in (0, 1, 4)
        for size in range(1, len(SOURCES[row].split()) * 3 // 4 + 1)
    ]
    assert asked == expected
    texts = [source.upper() for source, _ in asked]  # an honest model, but for:
    texts[asked.index(("w5 w6", TARGETS[1]))] = TARGETS[1]
    found = corpus_of(tmp_path / "translated", folder, texts)
    describe(small, output, "--prefixes", folder, found, "--json", tmp_path / "o.json")
    _, ours = rows(tmp_path / "o.json")
    assert (ours["replicated_asked"], ours["extractive"]) == (3, 1 / 3)
    printed = capsys.readouterr().out
    assert "| asked again | extractive |" in printed
    assert "| 3 | 33.33% |" in printed


def test_prefixes_of_another_output_are_refused(
    small: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "prefixes"
    prefixes(small, output, folder, capsys)
    found = corpus_of(tmp_path / "translated", folder, ["W1"] * 10)
    other = corpus_of(tmp_path / "other", small, ["W1", *OUTPUTS[1:]])
    with pytest.raises(SystemExit, match="was written for another corpus or other targets; write"):
        describe(small, other, "--prefixes", folder, found)
    with pytest.raises(SystemExit, match="translates other sources than train of"):
        describe(small, output, "--prefixes", folder, output)


def test_nothing_is_replicated(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = corpus_of(tmp_path / "corpus", small, ["W1 W2"] * len(SOURCES))
    told = prefixes(small, corpus, tmp_path / "new", capsys)
    assert told == "no translation of 4 words or more equals its target: nothing to ask again\n"
    assert not (tmp_path / "new").exists()
    with pytest.raises(SystemExit, match=r"prefixes.json cannot be read .*; write it with fairseq"):
        describe(small, corpus, "--prefixes", tmp_path / "new", corpus)


def test_prefixes_are_of_one_corpus(small: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--write-prefixes is of one CORPUS and 0 are given"):
        cli.main(["describe", str(small), "--write-prefixes", str(tmp_path / "new")])


def test_a_picture(small: Path, output: Path, tmp_path: Path) -> None:
    path = tmp_path / "o.png"
    describe(small, output, "--memorisation", "--plot", path)
    assert path.read_bytes()[1:4] == b"PNG"
