"""Our writer of fairseq's format against fairseq's, and the hash of what is read again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data import indexed_dataset

from kd_plugin.data import indexed, subset


@pytest.mark.parametrize("vocabulary", [100, 70_000])
@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_the_bytes_are_fairseqs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: int, count: int
) -> None:
    """Also where the index is written in several pieces; nothing else is left."""
    monkeypatch.setattr(indexed, "CHUNK", 3)
    generator = np.random.default_rng(count)
    sentences = [
        torch.tensor(generator.integers(0, vocabulary, generator.integers(1, 9)))
        for _ in range(count)
    ]
    theirs = indexed_dataset.make_builder(str(tmp_path / "a.bin"), "mmap", vocabulary)
    ours = indexed.SentenceWriter(tmp_path / "b", vocabulary)
    for sentence in sentences:
        theirs.add_item(sentence)
        ours.add(sentence)
    theirs.finalize(str(tmp_path / "a.idx"))
    ours.finish()
    for ending in ("bin", "idx"):
        assert (tmp_path / f"b.{ending}").read_bytes() == (tmp_path / f"a.{ending}").read_bytes()
    assert len([*tmp_path.iterdir()]) == 4


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_fingerprint_is_of_lengths_and_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """However it is read: in pieces, row by row, or from sentences that no file holds."""
    monkeypatch.setattr(subset, "CHUNK", chunk)
    rows = [[5, 6, 2], [2], [7, 8, 9, 2], [4, 2]]
    writer = indexed.SentenceWriter(tmp_path / "a", 100)
    for row in rows:
        writer.add(torch.tensor(row))
    writer.finish()
    read = indexed_dataset.make_dataset(str(tmp_path / "a"), "mmap")
    for chosen in (None, np.array([0, 2, 3])):
        some = rows if chosen is None else [rows[row] for row in chosen]
        digest = hashlib.sha256(np.array([len(row) for row in some], "<i8").tobytes())
        digest.update(np.array([token for row in some for token in row], "<i4").tobytes())
        for sentences in (read, [torch.tensor(row) for row in rows]):
            assert subset.fingerprint(sentences, read.sizes, chosen) == digest.hexdigest()
