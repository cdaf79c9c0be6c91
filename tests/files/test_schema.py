"""What a shape takes, and that a broken file is one line."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.corpus.records import RECORD
from kd_plugin.errors import InputError
from kd_plugin.files.schema import COUNT, FILE_NAME, SHA256, checker, fault, read_json

SHAPE = {"n": COUNT, "kind": {"a", "b"}, "rows": [(int, None)], "of": {str: re.compile("x+")}}
GOOD: dict[str, Any] = {"n": 3, "kind": "a", "rows": [1, None], "of": {"y": "xx"}, "more": [[]]}


def test_what_fits() -> None:
    assert fault(GOOD, SHAPE) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": -1}, "it.n is -1"),
        ({"n": True}, "it.n is True"),
        ({"n": 10**30}, "it.n is 10000"),
        ({"n": 1.0}, "it.n is 1.0"),
        ({"kind": ["a"]}, "it.kind is"),
        ({"kind": "c"}, "it.kind is 'c'"),
        ({"rows": 1}, "it.rows is 1"),
        ({"rows": [1, "x"]}, "an entry of it.rows is 'x'"),
        ({"of": {"y": "xxy"}}, "it.of.y is 'xxy'"),
        ({"of": []}, r"it.of is \[\]"),
    ],
)
def test_what_does_not(change: Any, message: str) -> None:
    assert re.match(message, fault({**GOOD, **change}, SHAPE) or "")


@pytest.mark.parametrize(
    "shape",
    [
        SHAPE, RECORD, [COUNT], [range(3, 9)], [str], {"a": {"b": [{"c": str}]}}, COUNT, str, dict,
        {str: COUNT}, (None, dict), [{"a": (int, None)}], SHA256,
    ],
)  # fmt: skip
def test_a_checker_says_whether_there_is_a_fault(shape: Any) -> None:
    """Of everything that can be made of a few values."""
    generator = random.Random(1)
    leaves = [GOOD, 3, -1, True, 1.0, 1 << 50, "a", "", None, [], [3, 8], [2, 4], ["a"], {}]
    leaves += [[3, True], "ab" * 32]
    fits = checker(shape)
    for _ in range(3000):
        value = generator.choice(leaves)
        for _ in range(generator.randrange(4)):
            value = generator.choice([
                [value], [value, generator.choice(leaves)], {generator.choice("abc"): value},
                {"id": 3, "hypotheses": value}, {"tokens": value, "text": "x"},
                {**value, "n": 4} if isinstance(value, dict) else value,
            ])  # fmt: skip
        assert fits(value) == (fault(value, shape) is None)
    good = {"id": 3, "hypotheses": [{"tokens": [1, 2], "text": "x"}]}
    assert checker(RECORD)(good)


def test_what_is_missing() -> None:
    assert fault({"n": 1}, SHAPE) == "it has no kind"
    assert fault([], SHAPE) == "it is []"


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", ".", "", "a\0b", "a\\b"])
def test_no_file_elsewhere(name: str) -> None:
    assert fault(name, FILE_NAME)
    assert fault("output.1a2b3c4d.npy", FILE_NAME) is None
    assert fault("ab" * 32 + "\n", SHA256)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[1]", b"[" * 100_000, b'{"n": 1' + b"0" * 10_000 + b"}", b'{"n": NaN}'],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json is damaged \(.*\); copy it again") as error:
        read_json(path, {"n": COUNT}, "copy it again")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
