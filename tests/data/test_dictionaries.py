"""Dictionaries are compared by their entries and their order."""

from pathlib import Path

import pytest
from fairseq.data import Dictionary

from kd_plugin.data import dictionaries
from kd_plugin.errors import InputError


def of(*words: str, count: int = 1) -> Dictionary:
    made = Dictionary()
    for word in words:
        made.add_symbol(word, count)
    return made


def test_counts_do_not_matter_and_order_does() -> None:
    ours = dictionaries.fingerprint(of("a", "b"))
    assert ours == dictionaries.fingerprint(of("a", "b", count=7))
    assert ours != dictionaries.fingerprint(of("b", "a"))


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (of("a"), "it has 5 entries and this run's 6"),
        (of("a", "c"), "entry 5 is 'b' here and there 'c'"),
        (of("b", "a"), r"entry 4 is 'a' here and there 'b' \(the same entries in another order\)"),
    ],
)
def test_the_first_difference_is_told(theirs: Dictionary, told: str) -> None:
    with pytest.raises(InputError, match=f"the teacher's is not this run's: {told}"):
        dictionaries.require_equal(theirs, of("a", "b"), "the teacher's")
    dictionaries.require_equal(of("a", "b", count=3), of("a", "b"), "the teacher's")


def test_a_folder_is_compared_as_far_as_it_has_dictionaries(tmp_path: Path) -> None:
    of("a").save(str(tmp_path / "dict.xx.txt"))
    languages = [("xx", of("a")), ("yy", of("b"))]
    dictionaries.require_of_folder(str(tmp_path), languages, "--data")
    of("c").save(str(tmp_path / "dict.yy.txt"))
    with pytest.raises(InputError, match="--data: its dictionary of yy is not this run's"):
        dictionaries.require_of_folder(str(tmp_path), languages, "--data")


def test_what_a_checkpoint_does_not_tell_is_not_compared() -> None:
    dictionaries.require_recorded({}, {"xx": "1"}, "data")
    with pytest.raises(InputError, match=r"another dictionary of xx than dict\.xx\.txt in data"):
        dictionaries.require_recorded({"xx": "2"}, {"xx": "1"}, "data")
