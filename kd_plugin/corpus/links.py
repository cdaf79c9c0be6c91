"""What words become in translation, and how far they move, under an alignment of words.

Alignments are in Pharaoh format: a line a sentence, ``0-0 1-2 ...``, word of the source and word of
the translation, from 0; words are what spaces separate.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .references import Lines

Link = tuple[int, int]  # of the source, of the translation


class Pharaoh:
    """A file of alignments, read line by line beside the sentences that it aligns."""

    def __init__(self, path: Path, flag: str):
        if not path.is_file():
            raise InputError(f"{flag} {path} is no file; name one with a line for each sentence")
        self.path, self.flag = path, flag
        self._lines = Lines(path, flag)
        self._next = 0

    def of(self, row: int, source: int, target: int) -> list[Link]:
        """The links of sentence ``row``, which has so many words; rows must not go back.

        Raises:
            InputError: there is no such line, or it links words that are not there.
        """
        line = ""
        while self._next <= row:
            line = self._lines.of()
            self._next += 1
        links = []
        for word in line.split():
            first, dash, second = word.partition("-")
            if not (dash and first.isdecimal() and second.isdecimal()):
                raise InputError(
                    f"{self.flag} {self.path}, line {row + 1} has {word[:40]!r}, which is no link "
                    "such as 0-1; give alignments in Pharaoh format"
                )
            if int(first) >= source or int(second) >= target:
                raise InputError(
                    f"{self.flag} {self.path}, line {row + 1} links {word[:40]} and the sentence "
                    f"has {source} and {target} words; align this text's words, which are what "
                    "spaces separate when subwords are joined"
                )
            links.append((int(first), int(second)))
        return links

    def close(self, sentences: int) -> None:
        """Refuse a file of fewer or more lines than the data has sentences."""
        while self._next < sentences:
            self._lines.of()
            self._next += 1
        self._lines.close()


class Aligned:
    """Counts links; memory holds the different pairs of linked words."""

    def __init__(self, links: Pharaoh):
        self.links = links
        self._numbers: dict[str, int] = {}
        self._pairs: Counter[int] = Counter()
        self.words = self.linked = self.scored = 0
        self.scores = 0.0

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        """A sentence and its translation, the first of ``texts``."""
        ours, theirs = source.split(), texts[0].split()
        links = self.links.of(row, len(ours), len(theirs))
        numbers = self._numbers
        for i, j in links:
            first = numbers.setdefault(ours[i], len(numbers))
            self._pairs[first << 32 | numbers.setdefault(theirs[j], len(numbers))] += 1
        self.words += len(theirs)
        self.linked += len({j for _, j in links})
        score = fuzzy_reordering(links)
        if score is not None:
            self.scores += score
            self.scored += 1

    def row(self) -> dict[str, Any]:
        """The conditional entropies, the mean fuzzy reordering score, and the share of links."""
        types, tokens = conditional_entropy(self._pairs.items())
        return {
            "translation_entropy": types,
            "translation_entropy_tokens": tokens,
            "reordering": self.scores / self.scored if self.scored else None,
            "linked": self.linked / max(self.words, 1),
        }


def conditional_entropy(pairs: Iterable[tuple[int, int]]) -> tuple[float, float]:
    """Of the translation of a word given the word, in bits, from counts of linked pairs.

    With p(y|x) the relative frequency of the pair among the pairs of x, H(y|x) is averaged over
    the different words x that have a link, which is C(d) of Zhou et al. (2020), and, as H(Y|X), by
    how often they have one.

    Args:
        pairs: number of the source word << 32 | number of the target word, and how often.
    """
    total: defaultdict[int, int] = defaultdict(int)
    inner: defaultdict[int, float] = defaultdict(float)
    for pair, count in pairs:
        total[pair >> 32] += count
        inner[pair >> 32] += count * math.log2(count)
    entropies = {x: max(math.log2(n) - inner[x] / n, 0.0) for x, n in total.items()}
    links = sum(total.values())
    by_type = math.fsum(entropies.values()) / max(len(total), 1)
    by_token = math.fsum(total[x] * entropy for x, entropy in entropies.items()) / max(links, 1)
    return by_type, by_token


def fuzzy_reordering(links: Sequence[Link]) -> float | None:
    """How monotone a translation is: 1 - (C - 1) / (M - 1) (Talbot et al., 2011); 1 is monotone.

    M words of the translation are linked, in C chunks. Words that are not linked are left out on
    both sides, and a word goes on with the chunk of the one before it where its first source word
    is not before that one's and not past the next after that one's last: these two rules are ours,
    for links that are not one to one. None where fewer than two words are linked.
    """
    place = {i: rank for rank, i in enumerate(sorted({i for i, _ in links}))}
    spans: dict[int, tuple[int, int]] = {}
    for i, j in links:
        low, high = spans.get(j, (place[i], place[i]))
        spans[j] = min(low, place[i]), max(high, place[i])
    if len(spans) < 2:
        return None
    ordered = [spans[j] for j in sorted(spans)]
    breaks = sum(not _goes_on(*two) for two in itertools.pairwise(ordered))
    return 1 - breaks / (len(spans) - 1)


def _goes_on(before: tuple[int, int], after: tuple[int, int]) -> bool:
    return before[0] <= after[0] <= before[1] + 1 and after[1] >= before[1]


def intersection(forward: Iterable[str], backward: Iterable[str]) -> Iterator[str]:
    """Lines of the links that both directions have."""
    for ours, theirs in zip(forward, backward, strict=True):
        kept = set(theirs.split())
        yield " ".join(link for link in ours.split() if link in kept)
