"""A table's YAML: what is wrong is named, with what is allowed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.errors import InputError
from kd_plugin.tables.flags import Flags, words
from kd_plugin.tables.locate import find, find_data, find_scale
from kd_plugin.tables.read import parse_scale, read_table

from .made import mapping, table

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rwos": {}}, "made.yaml has the unknown key 'rwos'; give title, about, from"),
    ({"rows__word__methd": "word_kd"}, "rows.word has the unknown key 'methd'; give label"),
    ({"rows__word__method": "wrod_kd"}, "has method 'wrod_kd', which must be one of word_kd"),
    ({"rows__word__teacher": "liev"}, "has teacher 'liev', which must be one of live"),
    ({"rows__word__store": "top"}, "rows.word has teacher and store; give one"),
    ({"rows__store__store": "tpo"}, "rows.store.store names 'tpo'; give one of top, near"),
    ({"rows__seq__text": "dk"}, "rows.seq.text names 'dk'; give one of kd, both"),
    ({"rows__seq__text": "kd", "rows__seq__distilled": "kd"}, "has text and distilled; give one"),
    ({"rows__near__students": ["smal"]}, "students names 'smal'; give one of small, tiny"),
    ({"rows__none__search": {"datastore": "near"}}, "names 'near', which is no datastore; give a"),
    ({"rows__none": 3}, "rows has none 3, which must be a mapping"),
    ({"rows__none__longer": 1.5}, "has longer 1.5, which must be a whole number from 1"),
    ({"rows__none": {"longer": 2, "flags": {"--max-update": 9}}}, "has longer and --max-update"),
    ({"rows__none__seeds": 0}, "has seeds 0, which must be a whole number from 1"),
    ({"rows__a b": {}}, "rows has the name 'a b'; give letters, digits"),
    ({"rows__none__label": "word"}, "have the label 'word' twice"),
    ({"students": {}}, "made.yaml has no students; give one or more"),
    ({"rows": {}}, "made.yaml has no rows; give one or more"),
    ({"baseline": "nnoe"}, "baseline names 'nnoe'; give one of none, word"),
    ({"checkpoint": "best"}, "checkpoint 'best', which must be last, best-bleu or average:K"),
    ({"decoding": {}}, "decoding is empty; give such as beam5: {--beam: 5}"),
    ({"decoding__beam5": 5}, "decoding has beam5 5, which must be a mapping of flags"),
    ({"decoding__beam5__beam": 5}, "decoding.beam5 has the flag 'beam', which must begin with --"),
    ({"decoding__beam5__--beam": [5]}, "--beam [5], which must be a value, or [value, where"),
    ({"decoding__beam5__--beam": None}, "--beam null, which must be a word, a number, or true"),
    ({"teacher": {}}, "teacher lacks the key 'model', which must be a text"),
    ({"teacher__folds": 1}, "teacher has folds 1, which must be a whole number, 2 or more"),
    ({"corpora__kd__asked": "seen"}, "corpora.kd says asked: seen, and the one teacher saw all"),
    ({"stores__top__asked": "seen"}, "stores.top says asked: seen, and the one teacher saw all"),
    ({"corpora__kd__asked": "own"}, "corpora.kd has asked 'own', which must be"),
    ({"teacher__folds": 2}, "rows.word has teacher: live, which knows no folds: give store"),
    ({"teacher__folds": 2, "rows": {"none": {}}, "published": []}, "states of stores.near are of"),
    ({"teacher__folds": 2, "halves": True}, "leave out halves, or folds"),
    ({"teacher__folds": 2, "gates": {"memorised": 9}}, "leave out gates.memorised"),
    ({"teacher__folds": 2, "students__tiny__noise": {}}, "leave out students.tiny.noise, or folds"),
    ({"noise": 0.2}, "has noise 0.2, which must be a mapping"),
    ({"students__small": "tiny"}, "students.small is 'tiny', which must be a mapping"),
    ({"corpora__kd__parts": ["golden"]}, "parts ['golden'], which must be a list of gold, teacher"),
    ({"corpora__kd__parts": ["gold", "extra"]}, "has the part extra, of sources that have no"),
    ({"stores__top__neighbours": {}}, "stores.top must have cache, neighbours or datastore"),
    ({"scales__smal": {}}, "scales.smal is no scale; give smoke, small, paper"),
    ({"scales__small": {"sedes": 2}}, "scales.small has the unknown key 'sedes'; give data, seeds"),
    ({"scales__small": {"rows": {"wrod": {}}}}, "scales.small.rows names 'wrod'; give one of none"),
    ({"published": [{"source": "a", "metric": "b", "values": {"none": 3}}]}, "has the students"),
    ({"published": [{"source": "a", "values": {}}]}, "published lacks the key 'metric'"),
    ({"published": [{"source": "a", "metric": "b", "values": {"small": {"wrod": 1}}}]}, "'wrod'"),
    ({"published": [{"source": "a", "metric": "b", "ours": "bleu", "values": {}}]}, "BLEU, chrF"),
    ({"curves": [{"title": "a", "axis": "b", "at": {"tniy": 1}, "rows": ["none"]}]}, "'tniy'"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        table(**changes)


def test_each_value_has_its_source() -> None:
    """Its own, else that of its block, else that of the table."""
    read = table(students__tiny__flags={"--dropout": 0, "--lr": [0.1, "section 5"]})
    assert read.decoding["beam5"] == {"--beam": ("5", "section 4")}
    assert read.decoding["greedy"] == {"--beam": ("1", "ours")}
    assert read.students["tiny"].flags == {
        "--dropout": ("0", "Table 1"),
        "--lr": ("0.1", "section 5"),
    }
    assert read.rows["word"].flags["--kd-weight"] == ("0.5", "Table 2")
    assert read.corpora["both"].generate["--beam"][1] == "section 3"


def test_of_a_flag_given_twice_the_last_counts() -> None:
    first: Flags
    second: Flags
    first, second = {"--a": ("1", ""), "--b": (None, "")}, {"--a": ("2", "")}
    assert list(words(first, second)) == ["--a", "2", "--b"]


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    for text, said in (("- a", "is empty or no mapping"), ("a: [", "is no YAML"), ("", "is empty")):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_table(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="this file has the name 'my table'; give letters"):
        read_table(tmp_path / "my table.yaml")


def test_files_are_found_by_name_or_by_path(tmp_path: Path) -> None:
    (tmp_path / "own.args").write_text("--arch tiny")
    assert find("toy", "tables", ".yaml").name == "toy.yaml"
    assert find("own.args", "models", ".args", tmp_path) == tmp_path / "own.args"
    with pytest.raises(InputError, match=r"'tyo' is none of configs/tables \(.*\); give toy or an"):
        find("tyo", "tables", ".yaml")
    with pytest.raises(InputError, match=r"gone\.yaml does not exist"):
        find("gone.yaml", "tables", ".yaml")


MULTI30K = ("train", "val", "test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")


def test_data_that_is_nowhere(tmp_path: Path) -> None:
    read = table()
    with pytest.raises(InputError, match=r"multi30k .* give --from FOLDER, or --download"):
        find_data(read, "multi30k", None, False)
    with pytest.raises(InputError, match="--from gone is no folder"):
        find_data(read, "multi30k", "gone", False)
    for name in (*MULTI30K[:-1], "valid"):
        for code in ("de", "en"):
            (tmp_path / f"{name}.{code}.gz").touch()
    with pytest.raises(
        InputError, match=r"--from .* holds neither test_2017_mscoco\.de nor .*\.gz"
    ):
        find_data(read, "multi30k", str(tmp_path), False)
    for code in ("de", "en"):
        (tmp_path / f"test_2017_mscoco.{code}").touch()
    assert find_data(read, "multi30k", None, True).origin == ("--download",)
    assert find_data(read, "multi30k", str(tmp_path), False).origin == ("--from", str(tmp_path))
    assert find_data(read, "toy", None, False).origin == ()


def test_a_data_set_is_cut_in_halves_or_is_half_of_one(tmp_path: Path) -> None:
    read = table(halves=True)
    whole = find_data(table(), "multi30k", None, True)
    found = find_data(read, "multi30k", None, True)
    assert found == replace(whole, cut=True)
    assert (whole.tests, found.tests) == (["test", "test1", "test2"], [*whole.tests, "test3"])
    with pytest.raises(InputError, match=r"--from .* holds neither train\.de nor train\.de\.gz"):
        find_data(read, "multi30k-halves", str(tmp_path), False)
    for name in MULTI30K:
        for code in ("de", "en"):
            (tmp_path / f"{name}.{code}").touch()
    half = find_data(read, "multi30k-halves", str(tmp_path), False)
    assert (half.cut, half.tests) == (False, found.tests)
    with pytest.raises(InputError, match="give --from FOLDER, that of the whole text"):
        find_data(read, "multi30k-halves", None, False)
    with pytest.raises(InputError, match=r"multi30k-halves is half of another one .*--data"):
        find_data(table(), "multi30k-halves", str(tmp_path), False)
    with pytest.raises(InputError, match=r"--from .* would not be read: a program writes"):
        find_data(read, "toy", str(tmp_path), False)


def test_a_table_changes_single_keys_of_a_scale() -> None:
    read = table(scales={"smoke": {"seeds": 2}})
    smoke = find_scale(read, "smoke")
    assert (smoke.seeds, smoke.data, smoke.models["student"]) == (2, "toy", "toy-student")
    assert find_scale(table(), "smoke").seeds == 1
    assert find_scale(table(), "paper") == parse_scale("paper", {}, "")


def test_mapping_is_a_copy() -> None:
    mapping(rows__none__label="x")
    assert table().rows["none"].label == "none"
