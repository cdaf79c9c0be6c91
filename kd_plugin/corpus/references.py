"""The reference of each sentence of a corpus: lines of a file, or a data folder's targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.subset import fingerprint_of_sources
from ..errors import InputError
from ..files.whole import sha256
from .text import joined


class Lines:
    """A text file read beside a corpus, a line a sentence; a :class:`.derived.Feed`."""

    def __init__(self, path: Path, flag: str, each: str = "sentences"):
        """``each`` is what a line belongs to."""
        self.path, self.flag, self.each = path, flag, each
        self._lines = self._read()

    def _read(self) -> Iterator[str]:
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield line.decode().rstrip("\r\n")
                except UnicodeDecodeError:
                    raise InputError(
                        f"{self.flag} {self.path}, line {number} is not UTF-8; mend the file"
                    ) from None

    def of(self, lines: Sequence[bytes] = ()) -> str:
        """The next line."""
        for line in self._lines:
            return line
        raise InputError(
            f"{self.flag} {self.path} has fewer lines than the corpus has {self.each}; name the "
            "file that has one for each"
        )

    def close(self) -> None:
        """Refuse what is left."""
        if next(self._lines, None) is not None:
            raise InputError(
                f"{self.flag} {self.path} has more lines than the corpus has {self.each}; name the "
                "file that has one for each"
            )


class Targets:
    """The target side of a data folder as text; picked up by its number, from any process."""

    def __init__(self, pairs: Any, subwords: str):
        """``subwords`` is what cut the words.

        Raises:
            InputError: the folder has sources alone.
        """
        if pairs.tgt is None:
            raise InputError(
                "the data folder has sources alone and no references; name one that has, or leave "
                "out what compares with them"
            )
        self._set(pairs.tgt, pairs.tgt_dict, subwords)

    def _set(self, sentences: Any, words: Any, subwords: str) -> None:
        self._sentences, self._words, self._subwords = sentences, words, subwords

    def __getitem__(self, row: int) -> str:
        symbols, end = self._words.symbols, self._words.eos()
        tokens = self._sentences[row].tolist()  # a hundredth of the time of fairseq's string()
        return joined(" ".join([symbols[i] for i in tokens if i != end]), self._subwords)


class Sources(Targets):
    """The source side."""

    def __init__(self, pairs: Any, subwords: str):
        self._set(pairs.src, pairs.src_dict, subwords)


def require_sources(pairs: Any, settings: Mapping[str, Any], corpus: object, flag: str) -> None:
    """Refuse a data folder whose sources the corpus does not translate.

    Raises:
        InputError: it has others.
    """
    if settings["source_sha256"] != fingerprint_of_sources(pairs):
        raise InputError(
            f"{flag} has other sources than {corpus} translates; name the data folder that "
            "the corpus was made of"
        )


def sha256_of(path: Path, flag: str) -> str:
    """The hash of a file that a flag names.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return sha256(path)
    except OSError as error:
        raise InputError(f"{flag} {path} cannot be read ({error.strerror}); name a file") from None
