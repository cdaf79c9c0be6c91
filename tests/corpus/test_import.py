"""Translations of other programs: cut as the data is, counted, and told where misaligned."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import sentencepiece
from fairseq_cli import preprocess

from kd_plugin.commands import cli
from kd_plugin.corpus.alignment import Alignment
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.corpus.text import joined
from kd_plugin.tasks import DistillationTask

NAME = "train.de-en"
CONFIG = """generator: toy
toy: {train: 2000, valid: 20, test: 20, references: 1, damage: 0.0, seed: 5}
languages: [de, en]
train: train
valid: valid
tests: [test]
subwords: {type: bpe, joint: true, size: 400}
clean: {max_words: 100, max_ratio: 9}
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``text`` and ``bin`` as scripts/prepare_data.sh leaves them."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.yaml").write_text(CONFIG)
    cli.main(["prepare", str(folder / "toy.yaml"), "--output", str(folder / "text")])
    text = folder / "text" / "subwords"
    flags = ["-s", "de", "-t", "en", "--joined-dictionary", "--destdir", str(folder / "bin")]
    flags += [f"--{split}pref" for split in ("train",)] + [str(text / "train")]
    flags += ["--validpref", str(text / "valid"), "--workers", "1"]
    with mock.patch.object(sys, "argv", ["fairseq-preprocess", *flags]):
        preprocess.cli_main()
    return folder


@pytest.fixture(scope="module")
def english(toy: Path) -> list[str]:
    return (toy / "text" / "raw" / "train.en").read_text().splitlines()


def run(toy: Path, tmp_path: Path, lines: list[str] | None, *flags: object) -> list[dict]:  # type: ignore[type-arg]
    if lines is not None:
        (tmp_path / "hyp").write_text("".join(f"{line}\n" for line in lines))
    words = ["import", toy / "bin", "--hypotheses", tmp_path / "hyp", "--output", tmp_path / "out"]
    cli.main([*map(str, words), "--block-size", "300", *map(str, flags)])
    return list(read_corpus(find_corpus(tmp_path / "out", NAME)))


def test_references_come_back_as_they_were_binarised(
    toy: Path, english: list[str], tmp_path: Path
) -> None:
    records = run(toy, tmp_path, english)
    task = DistillationTask.of_data(str(toy / "bin"))
    pairs = task.language_pairs(str(toy / "bin"), "train")
    for row, record in enumerate(records):
        (only,) = record["hypotheses"]
        assert only["tokens"] == pairs.tgt[row].tolist()
        assert only["text"] == task.target_dictionary.string(only["tokens"])
        assert joined(only["text"]) == english[row]
    ((_, manifest),) = find_corpus(tmp_path / "out", NAME)
    assert manifest["counts"]["unknown pieces"] == 0
    assert manifest["counts"]["imported"] == 2000
    assert manifest["report"]["length_correlation"] > 0.5


def test_everything_after_it_works(
    toy: Path, english: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(toy, tmp_path, english)
    out, chosen, data = (str(tmp_path / name) for name in ("out", "chosen", "data"))
    cli.main(["select", out, "--by", "reference", "--data", str(toy / "bin"), "--output", chosen])
    assert "best 100.00" in capsys.readouterr().out
    cli.main(["binarise", chosen, str(toy / "bin"), "--output", data])
    for ending in ("de.bin", "en.bin"):
        ours, theirs = (Path(f) / f"{NAME}.{ending}" for f in (data, toy / "bin"))
        assert ours.read_bytes() == theirs.read_bytes()
    cli.main(["history", chosen])
    assert "fairseq-kd import" in capsys.readouterr().out
    run(toy, tmp_path, english)
    assert "is complete: nothing to do" in capsys.readouterr().out


def test_unknown_pieces_and_empty_lines(toy: Path, english: list[str], tmp_path: Path) -> None:
    lines = [*english]
    lines[3], lines[7], lines[11] = "\u4f60\u597d " + lines[3], "", "  a \t b  "
    records = run(toy, tmp_path, lines)
    ((_, manifest),) = find_corpus(tmp_path / "out", NAME)
    words = DistillationTask.of_data(str(toy / "bin")).target_dictionary
    unknown = records[3]["hypotheses"][0]["tokens"].count(words.unk())
    assert unknown == manifest["counts"]["unknown pieces"] > 0
    assert joined(records[3]["hypotheses"][0]["text"]) == lines[3]
    assert records[7] == {"id": 7, "hypotheses": [], "reason": "empty"}
    assert joined(records[11]["hypotheses"][0]["text"]) == "a b"
    assert manifest["counts"]["undecoded: empty"] == 1


def test_the_three_formats_agree(toy: Path, english: list[str], tmp_path: Path) -> None:
    generator = random.Random(1)
    found = []
    blocks = [
        [(text, round(-generator.random(), 3)) for text in (line, line[:-1] + "x", line)]
        for line in english
    ]
    flat = [one for block in blocks for one in block]
    text = {
        "lines": [text for text, _ in flat],
        "jsonl": [
            json.dumps({"hypotheses": [{"text": t, "score": s} for t, s in block]})
            for block in blocks
        ],
        "nbest": [
            f"{row} ||| {t} ||| F0= 1 ||| {s}" for row, block in enumerate(blocks) for t, s in block
        ],
    }
    for kind, lines in text.items():
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "scores").write_text("".join(f"{score}\n" for _, score in flat))
        flags = ["--nbest", 3, "--scores", folder / "scores"] if kind == "lines" else []
        if kind == "nbest":
            (folder / "hyp").write_bytes(gzip.compress("\n".join(lines).encode()))
            found.append(run(toy, folder, None, "--format", kind))
        else:
            found.append(run(toy, folder, lines, "--format", kind, *flags))
    assert found[0] == found[1] == found[2]
    for block, record in zip(blocks, found[0], strict=True):
        expected = sorted(block, key=lambda pair: -pair[1])
        assert [(joined(h["text"]), h["score"]) for h in record["hypotheses"]] == expected


def moved(line: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:line], *lines[line + 1 :], lines[line]]


WRONG = {
    "one line was lost, another added at the end": (
        moved(900), r"from about line 90\d on \(lines 90\d to (1998|1999|2000)\) it fits the "
        "sources better 1 line before their own",
    ),
    "one line was lost, and added 60 lines later": (
        lambda lines: [*moved(1200)(lines[:1260]), *lines[1260:]], r"from about line 12\d\d on",
    ),
    "one line too many": (
        lambda lines: [*lines[:500], "a", *lines[500:-1]],
        r"from about line 50\d on .* 1 line after their own",
    ),
    "shuffled": (
        lambda lines: random.Random(1).sample(lines, len(lines)), "are no liker their own sources",
    ),
    "fewer": (lambda lines: lines[:-1], "has 1999 sentences and the data has 2000; give one"),
    "more": (lambda lines: [*lines, "a"], "has 2001 sentences and the data has 2000; give one"),
    "one lost": (
        lambda lines: [*lines[:700], *lines[701:]],
        r"has 1999 sentences and the data has 2000; from about line 70\d on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_misaligned_text_is_told(toy: Path, english: list[str], tmp_path: Path, case: str) -> None:
    change, words = WRONG[case]
    with pytest.raises(SystemExit, match=words) as stopped:
        run(toy, tmp_path, change(english))
    assert not (tmp_path / "out").exists()
    if "--accept-misaligned" in str(stopped.value):
        assert len(run(toy, tmp_path, None, "--accept-misaligned")) == 2000


def test_copies_are_told(toy: Path, tmp_path: Path) -> None:
    german = (toy / "text" / "raw" / "train.de").read_text().splitlines()
    with pytest.raises(SystemExit, match="100% of its lines are copies of their sources; put"):
        run(toy, tmp_path, german)


def pairs(count: int, seed: int, known: float = 0.0) -> tuple[list[str], list[str]]:
    """Sentences of a language without a word in common: lengths that go together by chance."""
    generator = random.Random(seed)
    sources, texts = [], []
    for _ in range(count):
        length = max(1, int(generator.lognormvariate(2.3, 0.5)))
        number = str(generator.randint(1, 99)) if generator.random() < known else ""
        sources.append(" ".join(["s" * generator.randint(1, 9) for _ in range(length)] + [number]))
        length = max(1, round(length * generator.lognormvariate(0, 0.2)))
        texts.append(" ".join(["t" * generator.randint(1, 9) for _ in range(length)] + [number]))
    return sources, texts


@pytest.mark.parametrize("known", [0.0, 0.3])
def test_a_shift_of_one_line_in_30_000(known: float) -> None:
    sources, texts = pairs(30_000, 1, known)
    for first, last in ((21_000, 30_000), (100, 400), (15_000, 15_100)):
        shifted = [*texts[:first], *texts[first + 1 : last], texts[first], *texts[last:]]
        complaint = complain(sources, shifted)
        assert complaint is not None
        told = int(complaint.split("line ")[1].split()[0])
        assert abs(told - first) < 40


def complain(sources: list[str], texts: list[str]) -> str | None:
    alignment = Alignment()
    for pair in zip(sources, texts, strict=True):
        alignment.add(*pair)
    return alignment.verdict().complaint


@pytest.mark.parametrize("order", ["any", "sorted", "repeated"])
def test_aligned_text_is_let_through(order: str) -> None:
    for seed in range(20):
        sources, texts = pairs(2000, seed, known=seed % 3 / 4)
        both = list(zip(sources, texts))
        if order == "sorted":
            both.sort(key=lambda pair: len(pair[0]))
        if order == "repeated":
            both = [pair for pair in both for _ in range(3)]
        assert complain(*map(list, zip(*both))) is None


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20, 33, 60])
def test_short_texts(count: int) -> None:
    assert complain(*pairs(count, 3)) is None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--nbest", "3"], "has 2000 lines, which is no multiple of --nbest 3"),
        (["--nbest", "2"], "has 1000 sentences of 2 lines and the data has 2000"),
        (["--nbest", "0"], "--nbest 0 is too small"),
        (["--format", "jsonl"], r"line 1 is no object such as .*; mend it"),
        (["--format", "nbest"], "line 1 is not of the form 'sentence"),
        (["--format", "jsonl", "--nbest", "2"], "has its own scores"),
        (["--scores", "BAD"], "BAD, line 1 has \"x\" where a score belongs"),
        (["--scores", "none"], "--scores none cannot be read"),
        (["--hypotheses", "none"], "--hypotheses none cannot be read"),
        (["--hypotheses", "LATIN"], "LATIN, line 2 is not UTF-8"),
        (["--sentencepiece", "BAD"], "--sentencepiece BAD is no model of SentencePiece"),
        (["--sentencepiece", "OTHER.model"], "otherwise than they are; name the model"),
        (["--sentencepiece", "BAD", "--subwords", "none"], "are two ways to cut"),
        (["--lenpen", "nan"], "--lenpen nan is out of range"),
    ],
)  # fmt: skip
def test_bad_input(
    toy: Path, english: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    flags: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("BAD").write_text("x\n" * 2000)
    Path("LATIN").write_bytes(b"a\n\xff\n")
    if "OTHER.model" in flags:
        sentencepiece.SentencePieceTrainer.train(
            input=str(toy / "text" / "raw" / "train.de"), model_prefix="OTHER", vocab_size=90,
            minloglevel=2,
        )  # fmt: skip
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
        run(toy, tmp_path, english, "--workers", 1, *flags)


def test_no_model_beside_the_data(toy: Path, english: list[str], tmp_path: Path) -> None:
    shutil.copytree(toy / "bin", tmp_path / "a" / "b" / "bin")
    with pytest.raises(SystemExit, match="no SentencePiece model of en stand"):
        run(tmp_path / "a" / "b", tmp_path, english)
    cut = (toy / "text" / "subwords" / "train.en").read_text().splitlines()
    records = run(tmp_path / "a" / "b", tmp_path, cut, "--subwords", "none")
    assert [record["hypotheses"][0]["text"] for record in records] == cut
