"""Whether lines are translations of the lines beside them, told from lengths and shared words.

Two lines are the more alike the closer their lengths and the more words they share (numbers, names,
cognates), both measured in the spread that lines of different sentences have. In aligned text a
line is liker its own source than the one before or after it. Where a stretch of lines is liker its
neighbours, a line was lost before it and another added behind it (:mod:`.shift`).

Text is looked at part by part, so that memory does not grow with it. Parts overlap: a stretch that
lies across the end of one is in the next.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass

import numpy as np

from .shift import FAR, FEWEST, NEAR, Numbers, Stretch, beside, find_shift

PART = 1 << 17  # lines that are looked at together
OVERLAP = 1 << 11
ALIKE = 3.0  # standard errors by which aligned lines must share more words than others, or
CORRELATED = 0.2  # have lengths that go together at least so much
COPIES = 0.5  # of all lines; no translation leaves as many as they are
NOTHING = 1e-12  # a variance that rounding leaves of equal numbers


@dataclass
class Verdict:
    """What was found; ``complaint`` says why the text is no translation, or None."""

    length_correlation: float | None
    copies: float
    complaint: str | None


class Alignment:
    """Reads pairs of lines one by one; holds 32 bytes of each line of a part."""

    def __init__(self) -> None:
        self.lengths = array("f"), array("f")
        self.shared = {offset: array("f") for offset in (0, *NEAR, FAR)}
        self.rows = self.copies = 0
        self.stretches: list[Stretch] = []  # that are shifted, in order
        self._carried = 0  # lines that the part before had, too
        self._of_lengths = {offset: _Moments() for offset in (0, *NEAR)}
        self._of_shared = {offset: _Moments() for offset in self.shared}
        self._recent: deque[tuple[set[str], set[str]]] = deque(maxlen=FAR + 1)

    def add(self, source: str, text: str) -> None:
        """The next line and what stands for its translation."""
        if len(self.lengths[0]) == PART + OVERLAP:
            self._look()
            self._keep(OVERLAP)
        for lengths, line in zip(self.lengths, (source, text)):
            lengths.append(math.log1p(len(line)))
        self.copies += source == text and bool(source)
        self._recent.append((_words(source), _words(text)))
        for offset, shared in self.shared.items():
            if abs(offset) <= self.rows:  # of source i and text i + offset, the later this line's
                ours = self._recent[-1 - max(offset, 0)][0]
                theirs = self._recent[-1 + min(offset, 0)][1]
                least = min(len(ours), len(theirs))
                shared.append(len(ours & theirs) / (1 + least))
        self.rows += 1

    def verdict(self) -> Verdict:
        """What all of the lines tell."""
        self._look()
        self._keep(0)
        correlation, copies = self._of_lengths[0].correlation(), self.copies / max(self.rows, 1)
        found = Verdict(correlation, copies, None)
        if self.rows < FEWEST:
            return found
        if copies > COPIES:
            found.complaint = f"{copies:.0%} of its lines are copies of their sources"
            return found
        shifted = next((one for one in self.stretches if not one.is_chance(self.rows)), None)
        found.complaint = str(shifted) if shifted else None
        if not self._go_together(0) and not (shifted and self._go_together(shifted.offset)):
            told = "none" if correlation is None else f"{correlation:.2f}"
            found.complaint = (
                "its lines are no liker their own sources than others' (correlation of "
                f"lengths {told})"
            )
        return found

    def _look(self) -> None:
        """Count what is new in this part, and look for lines that are shifted."""
        rows, new = len(self.lengths[0]), len(self.lengths[0]) - self._carried
        sources, texts = (np.array(lengths, np.float64) for lengths in self.lengths)
        shared = {offset: np.array(found, np.float64) for offset, found in self.shared.items()}
        for offset, moments in self._of_lengths.items():
            ours, theirs = beside(sources, texts, offset)
            moments.add(ours[-new:], theirs[-new:])
        for offset, moments in self._of_shared.items():
            moments.add(shared[offset][-new:], shared[offset][-new:])
        if rows >= FEWEST and (stretch := find_shift(sources, texts, shared)):
            self._add(stretch)

    def _add(self, stretch: Stretch) -> None:
        begin = self.rows - len(self.lengths[0])  # the part's first line
        stretch.first, stretch.last = stretch.first + begin, stretch.last + begin
        before = self.stretches[-1] if self.stretches else None
        if before and before.offset == stretch.offset and stretch.first <= before.last + FEWEST:
            before.last = max(before.last, stretch.last)  # it goes on
            before.evidence = max(before.evidence, stretch.evidence)
        else:
            self.stretches.append(stretch)

    def _keep(self, rows: int) -> None:
        """Forget all but the last lines."""
        self._carried = rows
        for lengths in self.lengths:
            del lengths[: len(lengths) - rows]
        for offset, shared in self.shared.items():
            del shared[: len(shared) - max(rows - abs(offset), 0)]

    def _go_together(self, offset: int) -> bool:
        """Whether lines that are ``offset`` apart have anything to do with each other."""
        lengths = self._of_lengths[offset]
        correlation = lengths.correlation() or 0.0
        if correlation > CORRELATED and correlation * lengths.count**0.5 > ALIKE:
            return True
        ours, others = self._of_shared[offset], self._of_shared[FAR]
        error = (ours.error() + others.error()) ** 0.5
        return bool(ours.mean[0] - others.mean[0] > ALIKE * error)


class _Moments:
    """Count, means and sums of squares of pairs of numbers that come in pieces."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(2)
        self.squares = np.zeros((2, 2))  # of distances from the means, and of their products

    def add(self, ours: Numbers, theirs: Numbers) -> None:
        """Some more pairs [n]."""
        if not len(ours):
            return
        values = np.stack([ours, theirs])
        mean = values.mean(1)
        apart, count = mean - self.mean, self.count + len(ours)
        values -= mean[:, None]
        self.squares += values @ values.T
        self.squares += np.outer(apart, apart) * (self.count * len(ours) / count)
        self.mean += apart * (len(ours) / count)
        self.count = count

    def correlation(self) -> float | None:
        """Of the two; None where one of them is always the same."""
        ours, theirs = self.squares.diagonal()
        if min(ours, theirs) <= NOTHING * self.count:
            return None
        return float(self.squares[0, 1] / (ours * theirs) ** 0.5)

    def error(self) -> float:
        """The squared standard error of the first's mean."""
        return float(self.squares[0, 0]) / max(self.count, 1) ** 2


def _words(line: str) -> set[str]:
    return {word.strip(".,;:!?\"'()").lower() for word in line.split()} - {""}
