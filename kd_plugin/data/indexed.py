"""Sentences of token ids in fairseq's memory-mapped format, written as a stream.

fairseq's own builder keeps a number a sentence until the end, and then two lists of them: some 100
bytes a sentence. Here the lengths go to a file beside the others and from there into the index, so
that memory does not grow; the bytes of both files are fairseq's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.data import indexed_dataset
from numpy.typing import NDArray

CHUNK = 1 << 16  # sentences
INDEX = indexed_dataset.MMapIndexedDataset.Index._HDR_MAGIC + struct.pack("<Q", 1)


class SentenceWriter:
    """Writes ``STEM.bin`` and, at the end, ``STEM.idx``."""

    def __init__(self, stem: str | Path, vocabulary: int):
        """``vocabulary`` is the number of different tokens, which decides their width."""
        self._stem = str(stem)
        self._type = np.dtype(indexed_dataset.best_fitting_int_dtype(vocabulary))
        self._tokens = open(f"{self._stem}.bin", "wb")  # noqa: SIM115
        self._lengths = open(f"{self._stem}.lengths", "w+b")  # noqa: SIM115
        self._count = 0

    def add(self, tokens: Any) -> None:
        """Token ids of the next sentence, with its end [length]; a tensor or an array."""
        ids = np.asarray(tokens)
        self._tokens.write(ids.astype(self._type).tobytes())
        self._lengths.write(struct.pack("<i", ids.size))
        self._count += 1

    def finish(self) -> None:
        """Write the index."""
        self._tokens.close()
        code = indexed_dataset._dtype_header_code(self._type.type)
        with open(f"{self._stem}.idx", "wb") as index:
            index.write(INDEX + struct.pack("<BQ", code, self._count))
            for lengths in self._chunks():
                index.write(lengths.tobytes())
            start = 0
            for lengths in self._chunks():
                ends = start + lengths.astype("<i8").cumsum() * self._type.itemsize
                index.write(np.concatenate(([start], ends[:-1])).astype("<i8").tobytes())
                start = int(ends[-1])
        self._lengths.close()
        Path(self._lengths.name).unlink()

    def _chunks(self) -> Iterator[NDArray[np.int32]]:
        self._lengths.seek(0)
        while content := self._lengths.read(4 * CHUNK):
            yield np.frombuffer(content, "<i4")
