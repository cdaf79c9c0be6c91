"""Corpora of strangers: each line is checked, and nothing is unpacked beyond what a text needs."""

from __future__ import annotations

import gzip
import json
import resource
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.corpus import raw, records
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.errors import InputError
from kd_plugin.files.blocks import manifest_path

from .. import support

NAME = "train.xx-yy"
GOOD: dict[str, Any] = {"id": 1, "hypotheses": [{"score": -1.0, "tokens": [5, 2], "text": "a"}]}


def write(folder: Path, content: bytes) -> Path:
    """A corpus of two sentences whose manifest agrees with these bytes."""
    folder.mkdir()
    path = folder / f"{NAME}.shard0-of-1.jsonl.gz"
    path.write_bytes(content)
    digest = support.sha256(path)
    settings = {
        "shard": "0/1", "rows": [0, 2], "sentences": 2, "source_sha256": digest,
        "dictionary_sha256": {"xx": digest},
    }  # fmt: skip
    manifest_path(path).write_text(json.dumps({"settings": settings, "sha256": digest}))
    return folder


def read(folder: Path) -> list[Any]:
    return list(read_corpus(find_corpus(folder, NAME)))


FIRST = b'{"id": 0, "hypotheses": [], "reason": "empty"}\n'


def test_a_whole_one(tmp_path: Path) -> None:
    content = gzip.compress(FIRST + json.dumps(GOOD).encode() + b"\n")
    assert read(write(tmp_path / "c", content))[1] == GOOD


CHANGES: list[dict[str, Any]] = [
    {"id": 0}, {"id": -1}, {"id": 2}, {"hypotheses": None}, {"hypotheses": [5]}, {"hypotheses": []},
    {"hypotheses": [{"tokens": [2]}]}, {"hypotheses": [{"tokens": ["x"], "text": ""}]},
    {"hypotheses": [{"tokens": [-1], "text": ""}]}, {"hypotheses": [{"tokens": [1], "text": 7}]},
]  # fmt: skip
LINES = [b"{", b"", b"\xff", b"null", b"[]", b"{}", b"[" * 9999, b'{"id": "1"}']
LINES += [json.dumps({**GOOD, **change}).encode() for change in CHANGES]


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_no_record(tmp_path: Path, line: bytes) -> None:
    folder = write(tmp_path / "c", gzip.compress(FIRST + line + b"\n"))
    with pytest.raises(InputError, match="has no record of sentence 2 where it belongs") as error:
        read(folder)
    assert "\n" not in str(error.value)


CUT = gzip.compress(FIRST, mtime=0)[:-9]  # the same in every process that collects it


@pytest.mark.parametrize("content", [b"", b"no gzip", CUT, b"\x1f\x8b\x08"])
def test_no_whole_gzip_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match=r"gzip file|has 0 sentences of 2"):
        read(write(tmp_path / "c", content))


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end; what is held stays below what it would unpack to."""
    monkeypatch.setattr(records, "LONGEST", 1 << 20)
    bomb = gzip.compress(b" " * (1 << 28), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="has a line of over 1048576 bytes"):
        read(write(tmp_path / "c", bomb))
    monkeypatch.setattr(raw, "FLOOR", 1 << 20)
    (tmp_path / "train.xx.gz").write_bytes(gzip.compress(bomb))
    (tmp_path / "train.yy.gz").write_bytes(bomb)
    assert raw.RATIO * len(bomb) < 1 << 28
    with pytest.raises(InputError, match=r"train\.yy\.gz has \d+ bytes and unpacks to over"):
        raw.read_lines(tmp_path, "train.yy", None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 << 16  # KiB


def test_a_text_of_one_repeated_line_is_no_bomb(tmp_path: Path) -> None:
    (tmp_path / "train.xx.gz").write_bytes(gzip.compress(b"a b c\n" * (1 << 20)))
    assert len(raw.read_lines(tmp_path, "train.xx", None)) == 1 << 20
