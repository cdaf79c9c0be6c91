"""The texts that are described: the references, and a corpus beside them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..files.shards import Shards
from .records import corpus_lines, to_record
from .references import Sources, Targets
from .text import joined

BLOCK = 500  # sentences
Sentence = tuple[int, str, Sequence[str]]  # the row, its source, its translations, best first


class Text(Protocol):
    """Sentences in order, block by block, so that several processes may read them."""

    name: str

    def blocks(self) -> Iterator[Any]:
        """What each block is made of, not yet read; as often as you like."""

    def read(self, block: Any) -> Iterator[Sentence]:
        """The sentences of one, in any process."""


def sentences(text: Text) -> Iterator[Sentence]:
    """All that have translations."""
    for block in text.blocks():
        for sentence in text.read(block):
            if sentence[2]:
                yield sentence


class Gold:
    """The references of a data folder."""

    def __init__(self, pairs: Any, subwords: str):
        self.name = "references"
        self._sides = Sources(pairs, subwords), Targets(pairs, subwords)
        self._rows = len(pairs)

    def blocks(self) -> Iterator[range]:
        """See :class:`Text`."""
        for first in range(0, self._rows, BLOCK):
            yield range(first, min(first + BLOCK, self._rows))

    def read(self, block: range) -> Iterator[Sentence]:
        """See :class:`Text`."""
        return ((row, self._sides[0][row], (self._sides[1][row],)) for row in block)


class Corpus:
    """The hypotheses of a corpus."""

    def __init__(self, folder: Path, shards: Shards, pairs: Any, subwords: str):
        self.name, self.shards = str(folder), shards
        self._sources, self._subwords = Sources(pairs, subwords), subwords

    def blocks(self) -> Iterator[list[tuple[int, tuple[Path, bytes]]]]:
        """See :class:`Text`."""
        lines = enumerate(corpus_lines(self.shards))
        while block := list(itertools.islice(lines, BLOCK)):
            yield block

    def read(self, block: list[tuple[int, tuple[Path, bytes]]]) -> Iterator[Sentence]:
        """See :class:`Text`."""
        for row, (path, line) in block:
            hypotheses = to_record(path, line, row)["hypotheses"]
            texts = [joined(one["text"], self._subwords) for one in hypotheses]
            yield row, self._sources[row], texts
