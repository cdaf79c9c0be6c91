"""Signs of memorised and of hallucinated text (Dankers & Raunak, 2025; Raunak et al., 2021).

Replication is a translation that equals its target. Where it is also what the model makes of at
most 75 % of the source, it is extractive memorisation (:mod:`.prefixes`). Hallucination is told
from the text alone: *oscillatory* where a pair of words comes again and again, *natural* where many
sources get one translation. The numbers are those of the paper's released code; it also asks a
quality estimation whether a natural hallucination is one, which is not done here.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

OFTEN = 10  # times that a pair of words must be exceeded, and
OVER = 4  # times by which it must exceed the source's commonest pair
LONG = 50  # words; longer sources may repeat themselves
SOURCES = 5  # different ones with the same translation
TOKEN = re.compile(r"\w+|[^\w\s]")


class Hallucinations:
    """Counts both kinds; memory holds 16 bytes a sentence."""

    def __init__(self) -> None:
        self._hashes = array("Q"), array("Q")  # of sources and of translations
        self.judged = self.oscillatory = 0

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        """A sentence and its translation, which is the first of ``texts``."""
        told = oscillates(source, texts[0])
        if told is not None:
            self.judged += 1
            self.oscillatory += told
        if source and texts[0]:
            for hashes, text in zip(self._hashes, (source, texts[0])):
                hashes.append(_hash(text))

    def row(self) -> dict[str, Any]:
        """The share of sentences with each kind."""
        natural, pairs = _natural(*(np.frombuffer(one, np.uint64) for one in self._hashes))
        return {
            "oscillatory": self.oscillatory / max(self.judged, 1),
            "natural": natural / max(pairs, 1),
        }


def oscillates(source: str, text: str) -> bool | None:
    """Whether a pair of words stands over 10 times, and over 4 times more than any of the source.

    Words are lower-cased, and signs are words. None where a side has fewer than two.
    """
    ours, theirs = (TOKEN.findall(side.lower()) for side in (source, text))
    if len(ours) < 2 or len(theirs) < 2:
        return None
    if len(theirs) <= OFTEN + 1 or len(ours) >= LONG:
        return False
    most = _commonest(theirs)
    return most > OFTEN and most - _commonest(ours) > OVER


def _commonest(words: Sequence[str]) -> int:
    return max(Counter(itertools.pairwise(words)).values())


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _natural(sources: Any, texts: Any) -> tuple[int, int]:
    """Of different pairs of source and translation: how many have a translation of 5, and all."""
    if not len(sources):
        return 0, 0
    pairs = np.unique(np.stack([texts, sources], 1), axis=0)
    _, counts = np.unique(pairs[:, 0], return_counts=True)
    return int(counts[counts >= SOURCES].sum()), len(pairs)
