"""Each rule of the filter drops what it says and nothing else, and says so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.corpus.generate import is_repetitive
from kd_plugin.corpus.rules import Hypothesis, is_badly_encoded, other_script
from kd_plugin.tasks import DistillationTask

from .. import support
from . import made
from .made import Record, manifest, read

SOURCES = ["w1 w2", "w3 w4 w5", "w1 w2", "", "w6", "w1 w2", "w7 w8 w9 w10", "w1"]
HYPOTHESES: list[list[tuple[str, float | None]]] = [
    [("W1 W2", -0.1), ("W2", -0.2)],
    [("W1 W1 W1 W1 W1", -0.3), ("W3", -0.9), ("W3 W4 W5", None)],
    [("W1 W2", -0.1), ("W2 W2", -0.5)],
    [],
    [("W6 W6 W6 W6", -2.0)],
    [("W2 W2", -0.1), ("W3 W1", -0.2)],
    [("w7 w8 w9 w10", -0.3), ("strange", -0.4)],
    [("W1", -0.4)],
]


@pytest.fixture(scope="module")
def small(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [(source, source.upper()) for source in SOURCES]
    folder = tmp_path_factory.mktemp("filter") / "bin"
    return support.binarise(folder, {"train": pairs, "valid": pairs[:2]}, data)


@pytest.fixture(scope="module")
def corpus(small: Path) -> Path:
    words = DistillationTask.of_data(str(small)).target_dictionary
    records: list[Record] = []
    for row, found in enumerate(HYPOTHESES):
        hypotheses = [
            {"score": score, "text": text,
             "tokens": words.encode_line(text, add_if_not_exist=False).tolist()}
            for text, score in found
        ]  # fmt: skip
        record: Record = {"id": row, "hypotheses": hypotheses}
        records.append(record if found else {**record, "reason": "empty"})
    return made.write(small.parent / "corpus", small, records)


def run(small: Path, corpus: Path, output: Path, *flags: object) -> list[Record]:
    words = ["filter", corpus, small, "--output", output, "--subwords", "none", *flags]
    cli.main([*map(str, words)])
    return read(output)


def texts(records: list[Record]) -> list[list[str]]:
    return [[h["text"] for h in record["hypotheses"]] for record in records]


def ratio(source: str, text: str) -> float:
    sizes = sorted((len(source.split()), len(text.split())))
    return sizes[1] / sizes[0]


def seen_before(row: int, text: str) -> bool:
    """Earlier for the same source, in any sentence."""
    return any(
        SOURCES[other] == SOURCES[row] and text in [t for t, _ in HYPOTHESES[other]]
        for other in range(row)
    )


def repeats(text: str) -> bool:
    return is_repetitive([int(word[1:]) if word[1:].isdigit() else 0 for word in text.split()])


RULES: dict[str, tuple[list[object], Any]] = {
    "length ratio": (["--max-ratio", 2], lambda row, t, score: ratio(SOURCES[row], t) > 2),
    "score": (["--min-score", -0.4], lambda row, t, score: score is None or score < -0.4),
    "copy": (["--copies"], lambda row, t, score: t == SOURCES[row]),
    "repetition": (["--repetition"], lambda row, t, score: repeats(t)),
    "unknown token": (["--unknown"], lambda row, t, score: t != t.upper()),
    "duplicate": (["--duplicates"], lambda row, t, score: seen_before(row, t)),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule(small: Path, corpus: Path, tmp_path: Path, rule: str) -> None:
    flags, broken = RULES[rule]
    found = run(small, corpus, tmp_path / "out", *flags)
    expected = [
        [text for text, score in block if not broken(row, text, score)]
        for row, block in enumerate(HYPOTHESES)
    ]
    assert texts(found) == expected
    dropped = sum(map(len, HYPOTHESES)) - sum(map(len, expected))
    assert dropped > 0
    counts = manifest(tmp_path / "out")["counts"]
    assert counts[f"hypotheses dropped: {rule}"] == dropped
    assert counts["hypotheses kept"] == sum(map(len, expected))
    assert counts["undecoded before"] == 1
    empty = [row for row, block in enumerate(expected) if not block and HYPOTHESES[row]]
    assert all(found[row]["reason"] == f"filtered: {rule}" for row in empty)
    assert counts.get(f"sentences dropped: {rule}", 0) == len(empty)
    assert found[3]["reason"] == "empty"


def test_binarise_decides_about_filtered_sentences(
    small: Path, corpus: Path, tmp_path: Path
) -> None:
    found = run(small, corpus, tmp_path / "out", "--max-ratio", 2, "--min-score", -0.35)
    left = [record["id"] for record in found if record["hypotheses"]]
    assert 0 < len(left) < 7
    for undecoded, count in (("drop", len(left)), ("reference", 8)):
        output = tmp_path / undecoded
        cli.main(["binarise", str(tmp_path / "out"), str(small), "--output", str(output),
                  "--undecoded", undecoded])  # fmt: skip
        pairs = DistillationTask.of_data(str(output)).language_pairs(str(output), "train")
        assert len(pairs) == count


def test_bytes_do_not_depend_on_workers_or_kills(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = made.write(tmp_path / "corpus", data, made.records_of(data))
    flags = ("--max-ratio", 1.4, "--min-score", -0.8, "--block-size", 7)
    wholes = [tmp_path / name for name in ("one", "three")]
    for whole, workers in zip(wholes, (1, 3)):
        run(data, corpus, whole, *flags, "--workers", workers)
    assert content(wholes[0]) == content(wholes[1])
    run(data, corpus, tmp_path / "whole", *flags, "--duplicates")
    from kd_plugin.files.blocks import BlockWriter

    write, left = BlockWriter.write, 5

    def stop(self: BlockWriter, *block: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        write(self, *block)

    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "write", stop)
        with pytest.raises(SystemExit, match="stopped; run the same command again"):
            run(data, corpus, tmp_path / "cut", *flags, "--duplicates")
    run(data, corpus, tmp_path / "cut", *flags, "--duplicates")
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_duplicates_over_a_kill_are_still_known(
    small: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block is kept, what it holds is a duplicate in the second."""
    from kd_plugin.files.blocks import BlockWriter

    write = BlockWriter.write
    expected = texts(run(small, corpus, tmp_path / "whole", "--duplicates", "--block-size", 2))

    def once(self: BlockWriter, *block: Any) -> None:
        if self.notes:
            raise KeyboardInterrupt
        write(self, *block)

    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "write", once)
        with pytest.raises(SystemExit):
            run(small, corpus, tmp_path / "cut", "--duplicates", "--block-size", 2)
    found = run(small, corpus, tmp_path / "cut", "--duplicates", "--block-size", 2)
    assert texts(found) == expected
    assert expected[2] == ["W2 W2"]


def of(text: str) -> Hypothesis:
    return Hypothesis("", text, 1, 1, text.split(), [], None)


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("", False), ("plain", False), ("\u00fcber caf\u00e9 \u2013 \u201cso\u201d", False),
        ("\u4f60\u597d", False), ("a\u00a0b", False), ("\U0001f600 ok", False),
        ("\u00c3\u00bcber", True), ("it\u00e2\u20ac\u2122s", True), ("a\ufffdb", True),
        ("a\x07b", True), ("a\x85b", True), ("\ue000", True), ("\u0440\u0443\u0441", False),
    ],
)  # fmt: skip
def test_encoding(text: str, bad: bool) -> None:
    assert is_badly_encoded(of(text)) is bad


@pytest.mark.parametrize(
    ("text", "scripts", "bad"),
    [
        ("hello w\u00f6rld", "latin", False), ("\u043f\u0440\u0438", "latin", True),
        ("\u043f\u0440\u0438 abcd", "latin", False), ("\u043f\u0440\u0438\u0432 ab", "latin", True),
        ("123 !?", "latin", False), ("", "latin", False),
        ("\u3053\u3093\u4e16\u754c", "cjk,hiragana", False), ("\uc548\ub155", "hangul", False),
    ],
)  # fmt: skip
def test_script(text: str, scripts: str, bad: bool) -> None:
    assert other_script(frozenset(scripts.split(",")))(of(text)) is bad


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "no rule is given; give one or more"),
        (["--max-ratio", "0.5"], r"--max-ratio 0\.5 is out of range"),
        (["--min-score", "nan"], "--min-score nan is out of range"),
        (["--script", "klingon"], "--script klingon is none; give such as latin"),
        (["--copies", "--subset", "valid"], "should hold one complete set of shards of valid"),
    ],
)
def test_bad_input(small: Path, corpus: Path, tmp_path: Path, flags: list[str], words: str) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
        run(small, corpus, tmp_path / "out", *flags)


def test_history_tells_it(
    small: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(small, corpus, tmp_path / "out", "--max-ratio", 2, "--copies")
    capsys.readouterr()
    cli.main(["history", str(tmp_path / "out")])
    words = capsys.readouterr().out.splitlines()[-1].split()
    assert words[:4] == ["fairseq-kd", "filter", "corpus1", str(small)]
    assert Counter(words)["--copies"] == 1
    assert words[words.index("--max-ratio") + 1] == "2.0"
