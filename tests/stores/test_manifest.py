"""A store whose manifest is broken, partial or hostile is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd_plugin.errors import InputError
from kd_plugin.files.blocks import manifest_path
from kd_plugin.stores.store import Store
from kd_plugin.teachers.stored import output_matrix

from .. import support
from ..stored import NAME, damaged


def read_all(folder: Path) -> None:
    store = Store(folder, "train.xx-yy")
    for row in range(len(store)):
        store.read(row)


def assert_refused(folder: Path, words: str = "") -> None:
    with pytest.raises(InputError, match=words) as error:
        read_all(folder)
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)
    assert "again" in str(error.value) or "name the" in str(error.value)


def of_settings(name: str, value: Any) -> Callable[[Any], None]:
    def change(manifest: Any) -> None:
        manifest["settings"][name] = value

    return change


def of_manifest(name: str, value: Any) -> Callable[[Any], None]:
    def change(manifest: Any) -> None:
        manifest[name] = value

    return change


RECORDS: list[Any] = [
    [["ids", "O", 1]], [["ids", "O", 1], ["log_q", "<f2", 8]], [], [[]], "O", [["ids"]],
    [["ids", "<u2", -8]], [["ids", "<u2", 10**12]], [["ids", "<u2", True]],
    [["ids", "<u2", 8], ["log_q", "<f2", 8]], [["ids", "M8[s]", 8]],
]  # fmt: skip
SETTINGS: list[tuple[str, Any]] = [
    ("kind", "features"), ("kind", "neighbours"), ("kind", []), ("dtype", "object"),
    ("dtype", "float32"), ("vocabulary", -1), ("vocabulary", 10**9), ("vocabulary", "9"),
    ("rows", [0]), ("rows", [0, 10**12]), ("rows", [-3, 150]), ("rows", [5, 150]),
    ("rows", []), ("sentences", 10**12), ("shard", 0), ("shard", "../0"), ("format", 99),
    ("tail", {}), ("teacher_sha256", 5), ("dictionary_sha256", {"xx": "?"}),
]  # fmt: skip
OTHERS: list[tuple[str, Any]] = [
    ("tokens", -1), ("tokens", 10**12), ("tokens", "many"), ("settings", 5), ("settings", {}),
    ("sha256", None), ("index_sha256", ""), ("left_out", []),
]  # fmt: skip
HOSTILE = [
    *(of_settings("record", record) for record in RECORDS),
    *(of_settings(*change) for change in SETTINGS),
    *(of_manifest(*change) for change in OTHERS),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_manifest(top8: Path, tmp_path: Path, number: int) -> None:
    copy = damaged(top8, tmp_path)
    path = manifest_path(copy / NAME)
    manifest = json.loads(path.read_text())
    HOSTILE[number](manifest)
    path.write_text(json.dumps(manifest))
    assert_refused(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"settings": {', b"\xff\xfe"])
def test_a_broken_manifest(top8: Path, tmp_path: Path, content: bytes) -> None:
    copy = damaged(top8, tmp_path)
    manifest_path(copy / NAME).write_bytes(content)
    assert_refused(copy, r"manifest\.json is damaged")


def test_an_index_of_other_sentences(top8: Path, tmp_path: Path) -> None:
    """It has the hash that the manifest says, and sentences that the records do not have."""
    copy = damaged(top8, tmp_path)
    index, path = copy / f"{NAME}.index", manifest_path(copy / NAME)
    whole = index.read_bytes()
    for content in (whole + whole[:10], whole[:-10], whole[:-3], b"\xff" * len(whole)):
        index.write_bytes(content)
        manifest = json.loads(path.read_text())
        manifest["index_sha256"] = support.sha256(index)
        path.write_text(json.dumps(manifest))
        assert_refused(copy, "is of other sentences than its manifest")


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/passwd", "", 5, ".."])
def test_no_matrix_elsewhere(features: Path, tmp_path: Path, name: Any) -> None:
    copy = damaged(features, tmp_path)
    path = manifest_path(copy / NAME)
    manifest = json.loads(path.read_text())
    manifest["settings"]["output"][0]["file"] = name
    path.write_text(json.dumps(manifest))
    assert_refused(copy, r"output.*file is")


def test_a_matrix_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    good = np.zeros((3, 4), np.float32)
    for content in (good, good[0], good.astype(np.float64), good.T, np.array([{}, 1])):
        np.save(path, content)
        recorded = {"file": path.name, "sha256": support.sha256(path), "width": 4}
        if content is good:
            assert output_matrix(tmp_path, recorded).shape == (3, 4)
            continue
        with pytest.raises(InputError, match="is not what the store was written with"):
            output_matrix(tmp_path, recorded)
    for raw in (b"", b"\x93NUMPY", b"PK\x03\x04", path.read_bytes()[:40]):
        path.write_bytes(raw)
        recorded = {"file": path.name, "sha256": support.sha256(path), "width": 4}
        with pytest.raises(InputError, match="is not what the store was written with"):
            output_matrix(tmp_path, recorded)
