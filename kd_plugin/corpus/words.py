"""Words from the token ids of their subwords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Word = tuple[int, ...]  # the ids of its subwords


class Splitter:
    """Finds where words begin; the end of sentence must have been taken off."""

    def __init__(self, words: Any, subwords: str):
        """``words`` is the dictionary, ``subwords`` what cut them."""
        symbols: Sequence[str] = words.symbols
        pieces = subwords == "sentencepiece"
        self._begins = [symbol.startswith("\u2581") or not pieces for symbol in symbols]
        self._goes_on = [subwords == "subword-nmt" and s.endswith("@@") for s in symbols]

    def __call__(self, tokens: Sequence[int]) -> list[Word]:
        """The words of a sentence, in order."""
        words: list[list[int]] = []
        unfinished = False
        for token in tokens:
            if words and (unfinished or not self._begins[token]):
                words[-1].append(token)
            else:
                words.append([token])
            unfinished = self._goes_on[token]
        return [tuple(word) for word in words]
