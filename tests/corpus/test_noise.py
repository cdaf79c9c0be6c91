"""Each kind of noise is what it says, at the rate that it says, sentence by sentence."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from kd_plugin.commands import cli
from kd_plugin.tasks import DistillationTask

from .. import support

ALPHABET = [f"w{i}" for i in range(13)]


@pytest.fixture(scope="module")
def big(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 sentences in which w0 is half of all words."""
    generator = random.Random(2)
    pairs = []
    for _ in range(1000):
        words = generator.choices(ALPHABET, weights=[12, *[1] * 12], k=generator.randint(1, 19))
        pairs.append((" ".join(words), " ".join(words).upper()))
    folder = tmp_path_factory.mktemp("noise") / "bin"
    return support.binarise(folder, {"train": pairs, "valid": pairs[:9]}, data)


def noise(data: Path, output: Path, *flags: object) -> Path:
    words = ["noise", data, "--output", output, "--subwords", "none", *flags]
    cli.main([*map(str, words)])
    return output


def lines(folder: Path, side: str = "src", subset: str = "train") -> list[list[str]]:
    task = DistillationTask.of_data(str(folder))
    pairs = task.language_pairs(str(folder), subset)
    words = task.src_dict if side == "src" else task.tgt_dict
    sentences = getattr(pairs, side)
    return [words.string(sentences[row]).split() for row in range(len(pairs))]


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_deletion(big: Path, tmp_path: Path, rate: float) -> None:
    before, after = lines(big), lines(noise(big, tmp_path / "out", "--delete", rate))
    assert all(is_subsequence(short, long) and short for short, long in zip(after, before))
    longer = [(a, b) for a, b in zip(after, before) if len(b) > 5]
    share = 1 - sum(len(a) for a, _ in longer) / sum(len(b) for _, b in longer)
    assert abs(share - rate) < 0.02


def test_nothing_is_left_empty(big: Path, tmp_path: Path) -> None:
    after = lines(noise(big, tmp_path / "out", "--delete", 1))
    assert all(
        len(short) == 1 and short[0] in long for short, long in zip(after, lines(big))
    )  # fmt: skip


@pytest.mark.parametrize("by", ["uniform", "frequency"])
def test_substitution(big: Path, tmp_path: Path, by: str) -> None:
    before = lines(big)
    after = lines(noise(big, tmp_path / "out", "--substitute", 0.3, "--by", by))
    assert [len(line) for line in after] == [len(line) for line in before]
    places = [(a, b) for new, old in zip(after, before) for a, b in zip(new, old)]
    changed = Counter(a for a, b in places if a != b and b == "w1")
    share = sum(a != b for a, b in places) / len(places)
    assert abs(share - 0.3) < 0.02
    assert set(changed) <= set(ALPHABET) - {"w1"}
    expected = 12 / 23 if by == "frequency" else 1 / 12
    assert abs(changed["w0"] / sum(changed.values()) - expected) < 0.1


def test_swapping(big: Path, tmp_path: Path) -> None:
    before, after = lines(big), lines(noise(big, tmp_path / "out", "--swap", 0.2))
    swaps = pairs = 0
    for new, old in zip(after, before):
        place = 0
        while place < len(old):
            if new[place] == old[place]:
                place += 1
                continue
            assert new[place : place + 2] == old[place : place + 2][::-1]  # and no word moves twice
            swaps, place = swaps + 1, place + 2
        pairs += sum(a != b for a, b in itertools.pairwise(old))
    assert abs(swaps / pairs - 0.2 / 1.2) < 0.03  # a swap uses up two places


def test_sides_and_seeds(big: Path, tmp_path: Path) -> None:
    flags = ("--delete", 0.2, "--swap", 0.2, "--substitute", 0.2)
    source = noise(big, tmp_path / "source", *flags)
    both = noise(big, tmp_path / "both", *flags, "--side", "both")
    target = noise(big, tmp_path / "target", *flags, "--side", "target")
    again = noise(big, tmp_path / "again", *flags)
    other = noise(big, tmp_path / "other", *flags, "--seed", 2)
    assert lines(source) == lines(both) != lines(big) == lines(target)
    assert lines(target, "tgt") == lines(both, "tgt") != lines(big, "tgt") == lines(source, "tgt")
    for file in source.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes()
    assert lines(other) != lines(source)
    assert lines(source, subset="valid") == lines(big, subset="valid")
    told = json.loads((source / "noise.json").read_text())
    assert told["counts"]["words"] == sum(map(len, lines(big)))
    changed = sum(a != b for a, b in zip(lines(source), lines(big)))
    assert changed <= told["counts"]["sentences changed"]


@pytest.mark.parametrize(
    ("subwords", "words"),
    [("sentencepiece", "\u2581ab c \u2581d \u2581e f g"), ("subword-nmt", "ab@@ c d e@@ f@@ g")],
)
def test_words_stay_whole(tmp_path: Path, subwords: str, words: str) -> None:
    whole = ["ab c", "d", "e f g"]
    data = support.binarise(tmp_path / "bin", {"train": [(words, "x")] * 300})
    noise(data, tmp_path / "out", "--delete", 0.5, "--swap", 0.5, "--subwords", subwords)
    seen = set()
    for line in lines(tmp_path / "out"):
        text = " ".join(line).replace("\u2581", "").replace("@@", "")
        for word in whole:
            text = text.replace(word, word.replace(" ", "_"))
        seen |= set(text.split())
    assert seen == {word.replace(" ", "_") for word in whole}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "no noise is asked for; give --delete"),
        (["--delete", "1.5"], r"--delete 1\.5 is out of range; give 0 to 1"),
        (["--swap", "nan"], "--swap nan is out of range"),
        (["--swap", "0.1", "--subset", "dev"], "holds no dev set of xx-yy"),
    ],
)
def test_bad_input(big: Path, tmp_path: Path, flags: list[str], words: str) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
        noise(big, tmp_path / "out", *flags)
    with pytest.raises(SystemExit, match="exists; give another, or remove it"):
        noise(big, big, "--delete", 0.1)


def test_nothing_to_substitute(tmp_path: Path) -> None:
    data = support.binarise(tmp_path / "bin", {"train": [("a a", "b")]})
    with pytest.raises(SystemExit, match="the source side has 1 different words and none"):
        noise(data, tmp_path / "out", "--substitute", 0.1)


def test_sources_alone(big: Path, tmp_path: Path) -> None:
    """Text that nobody has translated is damaged before a teacher reads it."""
    (tmp_path / "text").write_text("w1 w2 w3 w4 w5\n\nw6 w7 w8\n")
    alone, out = tmp_path / "alone", tmp_path / "out"
    plain = ["--subwords", "none"]
    text = ["--text", str(tmp_path / "text"), "--output", str(alone)]
    cli.main(["sources", str(big), *text, *plain])
    swap = ["noise", str(alone), "--swap", "1", *plain, "--output", str(out)]
    for side in ("target", "both"):
        with pytest.raises(SystemExit, match=f"--side {side}: .* has sources alone of train; give"):
            cli.main([*swap, "--side", side])
    cli.main(swap)
    task = DistillationTask.of_data(str(out))
    found = task.language_pairs(str(out), "train")
    assert found.tgt is None
    assert [task.src_dict.string(line) for line in found.src] == ["w2 w1 w4 w3 w5", "", "w7 w6 w8"]
