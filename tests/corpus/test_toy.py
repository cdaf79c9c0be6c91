"""The toy corpus: grammar by hand, files by comparison."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.corpus.toy import english_forms, german_forms, lexicon, write_toy_corpus
from kd_plugin.corpus.toy.choices import Dice, outcomes
from kd_plugin.corpus.toy.damage import damage, drop_words, swap_neighbours
from kd_plugin.corpus.toy.english import english
from kd_plugin.corpus.toy.german import german
from kd_plugin.corpus.toy.german import phrase as german_phrase
from kd_plugin.corpus.toy.plans import (
    ADJECTIVES_OF,
    KINDS,
    NOUNS_OF,
    Clause,
    Phrase,
    Sentence,
    draw_sentence,
)
from kd_plugin.corpus.toy.words import Determiner, Modal, Pronoun, Time, Verb
from kd_plugin.errors import InputError

SMALL = {"train": 300, "valid": 13, "test": 7}
NAMES = {
    "train.de", "train.en", "valid.de", "valid.en",
    "test.de", "test.en", "test.en1", "test.en2", "test.en3",
}  # fmt: skip


def word(table: tuple[Any, ...], german: str) -> Any:
    return next(entry for entry in table if entry.german == german)


def the(german: str, determiner: str = "", adjective: str = "", **rest: Any) -> Phrase:
    """A noun phrase from the lexicon, with ``der`` unless another determiner is named."""
    return Phrase(
        word(lexicon.NOUNS, german),
        word(lexicon.DETERMINERS, determiner),
        adjective=word(lexicon.ADJECTIVES, adjective) if adjective else None,
        **rest,
    )


def verb(german: str) -> Verb:
    found: Verb = word(lexicon.VERBS, german)
    return found


def time(german: str) -> Time:
    found: Time = word(lexicon.TIMES, german)
    return found


def modal(german: str) -> Modal:
    return next(entry for entry in lexicon.MODALS if entry.singular == german)


WE: Pronoun = word(lexicon.PRONOUNS, "wir")
BARE = Determiner("", "none", (), ("",), 1)

SHORT = Clause(verb("lachen"), the("Frau"))
OPENS = Clause(verb("auf|machen"), the("Kind"), the("Fenster"))
GIVES = Clause(
    verb("geben"),
    the("Mann", adjective="alt"),
    the("Buch", "ein", "lang"),
    the("Soldat", adjective="jung"),
    place=word(lexicon.PLACES, "im Garten"),
    time=time("heute"),
)


def changed(clause: Clause, **fields: Any) -> Clause:
    return Clause(**{**vars(clause), **fields})


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (Sentence(SHORT), "Die Frau lacht."),
        (Sentence(OPENS), "Das Kind macht das Fenster auf."),
        (
            Sentence(changed(OPENS, time=time("gestern"), tense="perfect", time_leads=True)),
            "Gestern hat das Kind das Fenster aufgemacht.",
        ),
        (
            Sentence(changed(OPENS, tense="modal", modal=modal("muss"))),
            "Das Kind muss das Fenster aufmachen.",
        ),
        (
            Sentence(changed(OPENS, subject=WE), opening=word(lexicon.OPENINGS, "ich glaube")),
            "Ich glaube, dass wir das Fenster aufmachen.",
        ),
        (
            Sentence(SHORT, reason=changed(OPENS, tense="perfect")),
            "Die Frau lacht, weil das Kind das Fenster aufgemacht hat.",
        ),
        (
            Sentence(SHORT, reason=changed(OPENS, tense="modal", modal=modal("darf"))),
            "Die Frau lacht, weil das Kind das Fenster aufmachen darf.",
        ),
        (
            Sentence(Clause(verb("auf|wachen"), the("Kind", plural=True), tense="perfect")),
            "Die Kinder sind aufgewacht.",
        ),
        (
            Sentence(GIVES),
            "Der alte Mann gibt heute dem jungen Soldaten im Garten ein langes Buch.",
        ),
        (
            Sentence(changed(GIVES, object=the("Buch"))),
            "Der alte Mann gibt heute dem jungen Soldaten das Buch im Garten.",
        ),
        (
            Sentence(
                Clause(
                    verb("sehen"),
                    the("Bauer", "ein", "arm"),
                    the("Hund", adjective="groß", owner=the("Bauer", adjective="reich")),
                    time=time("nie"),
                )
            ),
            "Ein armer Bauer sieht den großen Hund des reichen Bauern nie.",
        ),
        (
            Sentence(
                Clause(
                    verb("helfen"), the("Arzt", "ein"), receiver=the("Kind", "viel", plural=True)
                )
            ),
            "Ein Arzt hilft vielen Kindern.",
        ),
        (
            Sentence(
                Clause(
                    verb("kaufen"),
                    the("Freund", "mein"),
                    the("Haus", adjective="teur", owner=the("Bruder", "unser")),
                )
            ),
            "Mein Freund kauft das teure Haus unseres Bruders.",
        ),
    ],
)
def test_german_by_hand(plan: Sentence, sentence: str) -> None:
    assert german(plan) == sentence


@pytest.mark.parametrize(
    ("phrase", "case", "text"),
    [
        (the("Turm", "ein", "hoh"), "nom", "ein hoher Turm"),
        (the("Haus", "ein", "teur"), "nom", "ein teures Haus"),
        (the("Turm", "ein", "hoh"), "dat", "einem hohen Turm"),
        (the("Zimmer", "ein", "dunkl"), "acc", "ein dunkles Zimmer"),
        (the("Onkel", "mein", "bös"), "nom", "mein böser Onkel"),
        (the("Onkel", "mein", "bös"), "gen", "meines bösen Onkels"),
        (the("Apfel", "dies", "saur"), "acc", "diesen sauren Apfel"),
        (the("Frau", "jed", "müd"), "dat", "jeder müden Frau"),
        (the("Freund", "zwei", "alt", plural=True), "dat", "zwei alten Freunden"),
        (the("Auto", "ein"), "dat", "einem Auto"),
        (the("Auto", plural=True), "dat", "den Autos"),
        (the("Katze", "unser", plural=True), "gen", "unserer Katzen"),
        (the("Nachbar", "ihr"), "acc", "ihren Nachbarn"),
        (the("Kunde"), "gen", "des Kunden"),
        (the("Haus"), "gen", "des Hauses"),
        (the("Koch"), "gen", "des Kochs"),
        (Phrase(word(lexicon.NOUNS, "Mann"), BARE, True, ADJECTIVES_OF["person"][0]), "nom",
         "alte Männer"),
    ],
)  # fmt: skip
def test_phrases_by_hand(phrase: Phrase, case: german_forms.Case, text: str) -> None:
    assert german_phrase(phrase, case) == text


def texts(plan: Sentence) -> dict[str, float]:
    """Every English text of a plan with its probability."""
    total: Counter[str] = Counter()
    for text, p in outcomes(lambda choose: english(plan, choose)):
        total[text] += p  # type: ignore[assignment]
    return dict(total)


def test_all_english_of_a_plan() -> None:
    opened = ("opened the window", "opened up the window", "opened the window up")
    expected = {
        f"The {child} {auxiliary}{rest}."
        for child in ("child", "kid")
        for auxiliary in ("", "has ")
        for rest in opened
    }
    found = texts(Sentence(changed(OPENS, tense="perfect")))
    assert set(found) == expected
    assert sum(found.values()) == pytest.approx(1)
    # child 2/3, no auxiliary 2/3, "open" 2/3
    assert found["The child opened the window."] == pytest.approx(8 / 27)


def test_the_past_of_a_day_has_no_present_perfect_and_a_verb_of_state_no_progressive() -> None:
    known = Clause(verb("kennen"), WE, the("Richter"))
    yesterday = changed(known, tense="perfect", time=time("gestern"))
    assert set(texts(Sentence(yesterday))) == {
        "We knew the judge yesterday.",
        "Yesterday we knew the judge.",
        "Yesterday, we knew the judge.",
    }
    monday = changed(known, time=time("am Montag"))
    assert set(texts(Sentence(monday, opening=word(lexicon.OPENINGS, "ich weiß")))) == {
        f"I know {that}we {future} know the judge on Monday."
        for that in ("", "that ")
        for future in ("will", "are going to")
    }
    assert set(texts(Sentence(changed(known, time=time("heute"))))) == {
        "We know the judge today.",
        "Today we know the judge.",
        "Today, we know the judge.",
    }


def test_an_adverb_stands_before_have_to_and_after_a_real_auxiliary() -> None:
    works = Clause(verb("arbeiten"), WE, tense="modal", modal=modal("muss"), time=time("immer"))
    assert set(texts(Sentence(works))) == {
        "We must always work.",
        "We always have to work.",
        "We always need to work.",
    }


def test_nobody_must_or_wants_to_be_in_a_state() -> None:
    dice = Dice(5, "test")
    clauses = [draw_sentence(dice).clause for _ in range(1000)]
    assert {clause.verb.is_act for clause in clauses if clause.modal} == {True}
    assert {clause.verb.is_act for clause in clauses} == {True, False}
    assert not verb("kennen").is_act


def test_owners_adverbs_and_receivers() -> None:
    dog = the("Hund", owner=the("Kind", plural=True))
    never = Clause(verb("warten"), dog, tense="perfect", time=time("nie"))
    assert set(texts(Sentence(never))) == {
        text.format(dog, kids)
        for dog in ("dog", "hound")
        for text, kids in [
            ("The children's {} never waited.", ""),
            ("The kids' {} never waited.", ""),
            ("The {} of the {} never waited.", "children"),
            ("The {} of the {} never waited.", "kids"),
            ("The children's {} has never waited.", ""),
            ("The kids' {} has never waited.", ""),
            ("The {} of the {} has never waited.", "children"),
            ("The {} of the {} has never waited.", "kids"),
        ]
    }
    tells = Clause(
        verb("erzählen"), WE, the("Witz", "ein"), the("Richter"), "modal", modal("soll"),
        time("oft"),
    )  # fmt: skip
    found = texts(Sentence(tells, opening=word(lexicon.OPENINGS, "ich hoffe")))
    assert {
        "I hope that we should often tell the judge a joke.",
        "I hope we should tell a joke to the judge frequently.",
        "I hope we are often supposed to tell the judge a joke.",
    } <= set(found)
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("buy", "buys bought bought buying"),
        ("carry", "carries carried carried carrying"),
        ("spot=", "spots spotted spotted spotting"),
        ("wrap ~up", "wraps wrapped wrapped wrapping"),
        ("flee", "flees fled fled fleeing"),
        ("write", "writes wrote written writing"),
        ("have breakfast", "has had had having"),
        ("play", "plays played played playing"),
        ("watch", "watches watched watched watching"),
    ],
)
def test_english_verbs(entry: str, forms: str) -> None:
    read = english_forms.read_verb(entry)
    assert [read.third, read.past, read.participle, read.ing] == forms.split()


def test_the_notation_of_english_verbs() -> None:
    read = english_forms.read_verb("give ~back [to]")
    assert (read.base, read.particle, read.preposition, read.must_take) == (
        "give", "back", "to", True,
    )  # fmt: skip
    assert english_forms.read_verb("have= confidence in").fixed == "confidence in"
    with pytest.raises(ValueError, match="'give to!' is not written as EnglishVerb says"):
        english_forms.read_verb("give to!")


def test_english_plurals() -> None:
    irregular = (
        "men gentlemen women children salesmen policemen thieves heroes mice sheep geese "
        "potatoes tomatoes scarves knives shelves"
    )
    regular_but_for_spelling = (
        "ladies lasses monarchs waitresses witnesses buddies bosses cherries agreements stories "
        "dresses lorries buses coaches watches dishes looking_glasses boxes churches factories "
        "queries replies difficulties keys vocalists"
    )
    plurals = {
        english_forms.noun(entry, plural=True): english_forms.noun(entry, plural=False)
        for noun in lexicon.NOUNS
        for entry in noun.english
    }
    assert {p for noun in lexicon.NOUNS for e in noun.english for p in e.split("/")[1:]} == {
        *irregular.split(),
        "monarchs",
    }
    assert {form.replace("_", " ") for form in regular_but_for_spelling.split()} <= set(plurals)
    assert [p for p in plurals if p == plurals[p]] == ["sheep"]
    regular = {plural for plural in plurals if plural not in irregular.split()}
    assert all(plural.endswith("s") for plural in regular)
    assert {p for p in plurals if p.endswith(("fs", "fes", "ys", "mans", "os"))} == {
        *"chefs schoolboys attorneys monkeys donkeys keys".split()
    }


@pytest.mark.parametrize(
    ("word", "article"),
    [("egg", "an"), ("useful", "a"), ("honest", "an"), ("house", "a"), ("uncle", "an")],
)
def test_articles(word: str, article: str) -> None:
    assert english_forms.article(word) == article


def test_the_lexicon_is_large_enough() -> None:
    lemmas = {verb.german for verb in lexicon.VERBS}
    assert len({noun.german for noun in lexicon.NOUNS}) == len(lexicon.NOUNS) >= 100
    assert len(lemmas) >= 50
    assert sum("|" in lemma for lemma in lemmas) >= 9
    assert len({adjective.german for adjective in lexicon.ADJECTIVES}) >= 40
    assert len(lexicon.PLACES) >= 20
    assert len(lexicon.TIMES) >= 15
    assert all(NOUNS_OF[kind] and ADJECTIVES_OF[kind] for kind in KINDS)
    assert all(1 <= len(entry.english) <= 3 for entry in (*lexicon.NOUNS, *lexicon.VERBS))


def test_a_thousand_sentences_have_no_form_that_is_always_wrong() -> None:
    dice = Dice(7, "test")
    plans = [draw_sentence(dice) for _ in range(1000)]
    sources, targets = [german(plan) for plan in plans], [english(plan, dice) for plan in plans]
    wrong_german = re.compile(
        r"\b(den|dem|des|einen|einem|meinen|diesem) (\w+en )?"
        r"(Soldat|Nachbar|Kollege|Bauer|Student|Polizist|Kunde|Affe|Zeuge|Held|Neffe)\b"
        r"|\b(dunkel|teuer|hoch|sauer|müde|böse)(er|es|em|en)?\b(?<!böse)(?<!müde)"
        r"|  | [,.]|\|"
    )
    wrong_english = re.compile(
        r"\b[Aa] (?!use)[aeiou]|\b[Aa]n (?!honest|hour)[^aeiou]|\b[Aa]n use"
        r"|\b(he|she) (have|are|want|need)\b|\b(we|they) (has|is|wants|needs)\b"
        r"|  | [,.]|[=~()\[\]/]"
    )
    assert [line for line in sources if wrong_german.search(line)] == []
    assert [line for line in targets if wrong_english.search(line)] == []
    for line in sources + targets:
        assert line[0].isupper()
        assert line.endswith(".")
    assert 8 < sum(len(line.split()) for line in targets) / len(targets) < 12


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
    assert digest.hexdigest() == "e9c2b7eea6133cb5780c533791e96514173e046491da3786f0b6779c3de1ece1"


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
