"""The toy corpus: grammar by hand, files by comparison."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.corpus.toy import sentences, write_toy_corpus
from kd_plugin.corpus.toy.damage import damage, drop_words, swap_neighbours
from kd_plugin.corpus.toy.dice import Dice
from kd_plugin.corpus.toy.sentences import (
    Clause,
    Entry,
    Sentence,
    draw_sentence,
    english,
    german,
)
from kd_plugin.errors import InputError

SMALL = {"train": 300, "valid": 13, "test": 7}
NAMES = {
    "train.de", "train.en", "valid.de", "valid.en",
    "test.de", "test.en", "test.en1", "test.en2", "test.en3",
}  # fmt: skip


def entry(table: list[Entry], german: str) -> Entry:
    return next(each for each in table if each[0] == german)


def the(noun: str, determiner: str = "die", adjective: str = "") -> list[Entry]:
    """A noun phrase of the tables."""
    adjectives = [entry(sentences.ADJECTIVES, adjective)] if adjective else []
    nouns = sentences.PEOPLE + sentences.THINGS
    return [entry(sentences.DETERMINERS, determiner), *adjectives, entry(nouns, noun)]


OPENS = Clause(
    the("das Kind"),
    the("das Fenster", "jed"),
    entry(sentences.VERBS, "öffnen geöffnet"),
    modal=None,
    time=None,
    place=None,
    time_leads=False,
)
WINDOWS = Clause(
    the("die Frau", "die", "müd"),
    the("das Haus", "dies", "alt"),
    entry(sentences.VERBS, "sehen gesehen"),
    modal=entry(sentences.MODALS, "muss"),
    time=entry(sentences.TIMES, "heute"),
    place=entry(sentences.PLACES, "im Park"),
    time_leads=True,
)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (Sentence(OPENS, None, None), "Das Kind hat jedes Fenster geöffnet."),
        (
            Sentence(replace(OPENS, time_leads=True), None, None),
            "Das Kind hat jedes Fenster geöffnet.",
        ),
        (
            Sentence(WINDOWS, None, None),
            "Heute muss die müde Frau dieses alte Haus im Park sehen.",
        ),
        (
            Sentence(replace(WINDOWS, time_leads=False), None, None),
            "Die müde Frau muss heute dieses alte Haus im Park sehen.",
        ),
        (
            Sentence(WINDOWS, entry(sentences.OPENINGS, "ich hoffe"), None),
            "Ich hoffe, dass die müde Frau heute dieses alte Haus im Park sehen muss.",
        ),
        (
            Sentence(OPENS, None, replace(OPENS, subject=the("die Mutter", "dies"))),
            "Das Kind hat jedes Fenster geöffnet, weil diese Mutter jedes Fenster geöffnet hat.",
        ),
    ],
)
def test_german_by_hand(plan: Sentence, sentence: str) -> None:
    assert german(plan) == sentence


def texts(plan: Sentence) -> Counter[str]:
    """English texts of a plan in 3,000 draws."""
    dice = Dice(5, "test")
    return Counter(english(plan, dice) for _ in range(3000))


def test_all_english_of_a_plan() -> None:
    found = texts(Sentence(OPENS, None, None))
    active = {
        f"The {child} {verb} {every} window."
        for child in ("child", "kid")
        for verb in ("opened", "unlocked")
        for every in ("every", "each")
    }
    passive = {
        f"{every} window was {verb} by the {child}."
        for child in ("child", "kid")
        for verb in ("opened", "unlocked")
        for every in ("Every", "Each")
    }
    assert set(found) == active | passive
    assert sum(found[text] for text in passive) / 3000 == pytest.approx(0.3, abs=0.03)
    # the first of two words: u^1.5 < 1/2, so u < 0.63
    assert found["The child opened every window."] / 3000 == pytest.approx(0.7 * 0.25, abs=0.03)


def test_where_time_and_place_stand() -> None:
    found = texts(Sentence(WINDOWS, None, None))
    skeletons = {re.sub(r"^(The|the) .* (house|home)", "X", text) for text in found}
    today = ("today", "this day")
    assert {f"X {t} in the park." for t in today} <= skeletons
    assert {f"X in the park {t}." for t in today} <= skeletons
    leads = [text for text in found if text.startswith(("Today", "This day"))]
    assert {"," in text for text in leads} == {True, False}
    modals = {m for m in ("must", "has to", "needs to") if any(f" {m} " in t for t in found)}
    assert modals == {"must", "has to", "needs to"}


def test_openings_and_reasons() -> None:
    hoping = texts(Sentence(OPENS, entry(sentences.OPENINGS, "ich hoffe"), None))
    assert {"I hope that the child opened every window.",
            "I hope the child opened every window."} <= set(hoping)  # fmt: skip
    reason = replace(OPENS, subject=the("die Mutter"))
    told = texts(Sentence(OPENS, None, reason))
    assert any(re.match(r"(Because|Since|As) .*, .*\.", text) for text in told)
    assert any(re.match(r"The .* (because|since|as) .*\.", text) for text in told)


@pytest.mark.parametrize(
    ("entry", "three"),
    [
        ("see/saw/seen", "see saw seen"),
        ("notice", "notice noticed noticed"),
        ("open", "open opened opened"),
    ],
)
def test_english_verbs(entry: str, three: str) -> None:
    assert " ".join(sentences.forms(entry)) == three


def test_regular_verbs_are_regular_in_spelling() -> None:
    """What doubles a letter or ends in y has its forms written out."""
    regular = {v for _, all_ in sentences.VERBS for v in all_ if "/" not in v}
    assert {v for v in regular if v.endswith("y") and v[-2] not in "aeiou"} == set()
    doubling = re.compile(r"^[^aeiou]*[aeiou][^aeiouwxy]$")  # one short syllable
    assert {v for v in regular if doubling.match(v)} == set()


def test_the_tables_are_large_enough() -> None:
    for table, least in (
        (sentences.PEOPLE, 25), (sentences.THINGS, 45), (sentences.ADJECTIVES, 30),
        (sentences.VERBS, 38), (sentences.TIMES, 14), (sentences.PLACES, 14),
    ):  # fmt: skip
        assert len({german for german, _ in table}) == len(table) >= least
        assert all(1 <= len(english) <= 3 for _, english in table)
        assert sum(len(english) > 1 for _, english in table) / len(table) >= 0.8


def test_a_thousand_sentences_are_well_formed() -> None:
    dice = Dice(7, "test")
    plans = [draw_sentence(dice) for _ in range(1000)]
    sources, targets = [german(plan) for plan in plans], [english(plan, dice) for plan in plans]
    for line in sources + targets:
        assert re.fullmatch(r"[A-ZÄÖÜ][^:;/|_]*[^ ,]\.", line)
        assert "  " not in line
    assert {w for line in sources for w in re.findall(r"\w+ee\b", line)} <= {"Idee"}
    assert 8 < sum(len(line.split()) for line in targets) / len(targets) < 13


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "new" / "folder"
    write_toy_corpus(folder, **SMALL)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lines(folder: Path, name: str) -> list[str]:
    return (folder / name).read_text(encoding="utf-8").splitlines()


def test_files_and_line_counts(corpus: Path) -> None:
    assert set(contents(corpus)) == NAMES
    for name in NAMES:
        assert len(lines(corpus, name)) == SMALL[name.split(".")[0]]


def test_no_source_twice(tmp_path: Path) -> None:
    dice = Dice(1, "plans")
    drawn = [german(draw_sentence(dice)) for _ in range(4600)]
    assert len(set(drawn)) < len(drawn)  # so many draws repeat one
    write_toy_corpus(tmp_path, train=4000, valid=300, test=300)
    sources = [line for split in SMALL for line in lines(tmp_path, f"{split}.de")]
    assert len(sources) == len(set(sources)) == 4600


def test_references_differ(corpus: Path) -> None:
    versions = [lines(corpus, f"test.en{number}") for number in ("", 1, 2, 3)]
    assert len({tuple(version) for version in versions}) == 4
    assert all(len(set(line)) > 1 for line in zip(*versions) if len(line[0].split()) > 6)


def test_equal_arguments_give_equal_bytes_and_another_seed_others(
    corpus: Path, tmp_path: Path
) -> None:
    write_toy_corpus(tmp_path / "same", **SMALL)
    assert contents(tmp_path / "same") == contents(corpus)
    write_toy_corpus(tmp_path / "other", **SMALL, seed=2)
    other = contents(tmp_path / "other")
    assert all(other[name] != data for name, data in contents(corpus).items())


def test_golden_bytes(corpus: Path) -> None:
    """The same on every machine and Python; a changed lexicon or grammar changes this number."""
    digest = hashlib.sha256()
    for name, data in sorted(contents(corpus).items()):
        digest.update(name.encode() + b"\0" + data)
    assert digest.hexdigest() == "4f4d68de8e3ea20981aef90c84caa89b179be9a68ec1472d9e206ad6a98bc77f"


def test_sizes_of_one_split_leave_the_test_set_alone(corpus: Path, tmp_path: Path) -> None:
    write_toy_corpus(tmp_path, train=5, valid=3, test=SMALL["test"], references=1)
    assert set(contents(tmp_path)) == NAMES - {"test.en1", "test.en2", "test.en3"}
    for name in ("test.de", "test.en"):
        assert contents(tmp_path)[name] == contents(corpus)[name]


@pytest.mark.parametrize("share", [0.1, 0.35, 1.0])
def test_damage_is_what_was_asked_and_only_in_the_train_targets(
    share: float, tmp_path: Path
) -> None:
    write_toy_corpus(tmp_path / "clean", train=500, valid=40, test=40, damage=0)
    write_toy_corpus(tmp_path / "damaged", train=500, valid=40, test=40, damage=share)
    clean, damaged = contents(tmp_path / "clean"), contents(tmp_path / "damaged")
    assert {name for name in NAMES if clean[name] != damaged[name]} == {"train.en"}
    before, after = (lines(tmp_path / name, "train.en") for name in ("clean", "damaged"))
    assert abs(sum(a != b for a, b in zip(before, after)) / 500 - share) < 0.01


def test_kinds_of_damage() -> None:
    clean = [f"a{i} b{i} c{i} d{i} e{i}." for i in range(200)]
    kinds: Counter[str] = Counter()
    for i, (before, after) in enumerate(zip(clean, damage(clean, 0.5, Dice(1, "test")))):
        old, new = before.split(), after.split()
        if new == old:
            kinds["none"] += 1
        elif after == clean[i - 1]:
            kinds["misaligned"] += 1
        elif sorted(new) == sorted(old):
            moved = [j for j in range(5) if old[j] != new[j]]
            assert len(moved) == 2
            assert moved[1] == moved[0] + 1
            kinds["swapped"] += 1
        else:
            assert len(old) - len(new) in (1, 2)
            assert [w for w in old if w in new] == new
            kinds["dropped"] += 1
    assert kinds == {"none": 100, "misaligned": 40, "dropped": 30, "swapped": 30}


def test_damage_of_the_shortest_sentence() -> None:
    dice = Dice(1, "test")
    assert {drop_words("We laughed.", dice) for _ in range(20)} == {"We", "laughed."}
    assert swap_neighbours("We laughed.", dice) == "laughed. We"


def test_equal_neighbours_are_not_swapped() -> None:
    swapped = {swap_neighbours("a a a b", Dice(seed, "test")) for seed in range(20)}
    assert swapped == {"a a b a"}


def test_a_misaligned_line_is_another_text() -> None:
    clean = ["x y", "a b", "a b"]
    seen = {tuple(damage(clean, 1 / 3, Dice(seed, "test"))) for seed in range(20)}
    assert seen == {("a b", "a b", "a b"), ("x y", "x y", "a b"), ("x y", "a b", "x y")}


@pytest.mark.parametrize("fails_at", [1, 4, 8])
def test_a_failure_midway_leaves_no_file(
    fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.replace, []

    def replace(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr("kd_plugin.corpus.toy.writing.os.replace", replace)
    with pytest.raises(OSError, match="disk full"):
        write_toy_corpus(tmp_path, **SMALL)
    assert len(calls) == fails_at
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_what_was_there(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test.de").write_text("old")
    real = Path.write_bytes

    def write_bytes(self: Path, data: bytes) -> int:
        if self.name.startswith("train.en"):
            raise OSError("disk full")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="disk full"):
        write_toy_corpus(tmp_path, **SMALL)
    assert contents(tmp_path) == {"test.de": b"old"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "--train 0 is too small; give 1 or more"),
        ({"references": 0}, "--references 0 is too small; give 1 or more"),
        ({"seed": -1}, "--seed -1 is too small; give 0 or more"),
        ({"damage": 1.5}, "--damage 1.5 is no share of the train targets; give 0 to 1"),
        ({"damage": float("nan")}, "--damage nan is no share of the train targets; give 0 to 1"),
    ],
)
def test_refusals(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        write_toy_corpus(tmp_path / "none", **wrong)
    assert not (tmp_path / "none").exists()
