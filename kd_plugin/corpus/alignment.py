"""Whether lines are translations of the lines beside them, told from lengths and shared words.

Two lines are the more alike the closer their lengths and the more words they share (numbers, names,
cognates), both measured in the spread that lines of different sentences have. In aligned text a
line is liker its own source than the one before or after it. Where a stretch of lines is liker its
neighbours, a line was lost before it and another added behind it. How much of that is chance is
told as for the alignment of sequences (Karlin & Altschul, 1990): the best stretch of N lines whose
gains are x exceeds S by chance with a probability of about N exp(-theta S), where theta is the
positive root of mean(exp(theta x)) = 1. In real text a shift of some twenty lines is told.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR = (-2, -1, 1, 2)  # offsets at which a line may have its translation
FAR = 31  # lines that have nothing to do with each other
FEWEST = 20  # lines of which anything can be said
CHANCE = 1e-6  # of refusing aligned text
GAIN = 0.3  # spreads that each line of a shifted stretch gains at the least
DEVIATIONS = 6.0
CLIP = 4.0  # spreads that one line can count
ALIKE = 3.0  # standard errors by which aligned lines must share more words than others, or
CORRELATED = 0.2  # have lengths that go together at least so much
LEAST_SPREAD = 0.05  # of lines' likeness; below it, a single shared word would weigh too much
COPIES = 0.5  # of all lines; no translation leaves as many as they are

Numbers = NDArray[np.float64]
Likeness = Callable[[int], Numbers]  # at an offset


@dataclass
class Verdict:
    """What was found; ``complaint`` says why the text is no translation, or None."""

    length_correlation: float | None
    copies: float
    complaint: str | None


class Alignment:
    """Reads pairs of lines one by one; holds 32 bytes of each."""

    def __init__(self) -> None:
        self.lengths = array("f"), array("f")
        self.shared = {offset: array("f") for offset in (0, *NEAR, FAR)}
        self.copies = 0
        self._recent: deque[tuple[set[str], set[str]]] = deque(maxlen=FAR + 1)

    def add(self, source: str, text: str) -> None:
        """The next line and what stands for its translation."""
        for lengths, line in zip(self.lengths, (source, text)):
            lengths.append(float(np.log1p(len(line))))
        self.copies += source == text and bool(source)
        self._recent.append((_words(source), _words(text)))
        row = len(self.lengths[0]) - 1
        for offset, shared in self.shared.items():
            if abs(offset) <= row:  # of source i and text i + offset, the later of them this row's
                ours = self._recent[-1 - max(offset, 0)][0]
                theirs = self._recent[-1 + min(offset, 0)][1]
                least = min(len(ours), len(theirs))
                shared.append(len(ours & theirs) / (1 + least))

    def verdict(self) -> Verdict:
        """What all of the lines tell."""
        sources, texts = map(_numbers, self.lengths)
        rows = len(sources)
        copies = self.copies / max(rows, 1)
        spread = min(sources.std(), texts.std()) if rows else 0.0
        correlation = float(np.corrcoef(sources, texts)[0, 1]) if spread > 0 else None
        found = Verdict(correlation, copies, None)
        if rows < FEWEST:
            return found
        if copies > COPIES:
            found.complaint = f"{copies:.0%} of its lines are copies of their sources"
            return found
        found.complaint, offset = _shift(self._likeness(sources, texts), rows)
        del sources, texts
        if not self._go_together(0) and (offset is None or not self._go_together(offset)):
            told = "none" if correlation is None else f"{correlation:.2f}"
            found.complaint = (
                "its lines are no liker their own sources than others' (correlation of "
                f"lengths {told})"
            )
        return found

    def _go_together(self, offset: int) -> bool:
        """Whether lines that are ``offset`` apart have anything to do with each other."""
        sources, texts = map(_numbers, self.lengths)
        ours, theirs = _beside(sources, texts, offset)
        if min(ours.std(), theirs.std()) > 0:
            correlation = np.corrcoef(ours, theirs)[0, 1]
            if correlation > CORRELATED and correlation * len(ours) ** 0.5 > ALIKE:
                return True
        shared = _numbers(self.shared[offset])
        others = _numbers(self.shared[FAR] or [0.0])
        error = (shared.var() / len(shared) + others.var() / len(others)) ** 0.5
        return bool(shared.mean() - others.mean() > ALIKE * error)

    def _likeness(self, sources: Numbers, texts: Numbers) -> Likeness:
        """How alike source i and text i + offset are, from the first i that has such a text."""
        middle = (sources - texts).mean()

        def apart(offset: int) -> Numbers:
            ours, theirs = _beside(sources, texts, offset)
            found: Numbers = np.abs(ours - theirs - middle)
            return found

        other = FAR if len(sources) > FAR + FEWEST else 1
        spreads = [
            max(float(values.std()), LEAST_SPREAD)
            for values in (apart(other), _numbers(self.shared[other]))
        ]
        return lambda o: _numbers(self.shared[o]) / spreads[1] - apart(o) / spreads[0]


def _numbers(values: Any) -> Numbers:
    return np.array(values, np.float64)


def _beside(sources: Numbers, texts: Numbers, offset: int) -> tuple[Numbers, Numbers]:
    """Sources and the texts so many lines behind them, as far as both are there."""
    rows = len(sources)
    first, last = max(0, -offset), rows - max(0, offset)
    return sources[first:last], texts[first + offset : last + offset]


def _shift(likeness: Likeness, rows: int) -> tuple[str | None, int | None]:
    """Where a stretch fits better at another offset than chance explains, and the offset."""
    worst, told, found = 0.0, None, None
    aligned = likeness(0)
    for offset in NEAR:
        start = max(0, -offset)
        own = aligned[start : rows - max(0, offset)]
        gains = np.clip(likeness(offset) - own, -CLIP, CLIP)
        best, first, last = _best_stretch(gains)
        if (
            best > worst
            and best > GAIN * (last - first)
            and _is_no_chance(gains, best, last - first)
        ):
            worst, found = best, offset
            way = "after" if offset > 0 else "before"
            where = f"lines {first + start + 1} to {last + start}"
            told = (
                f"from about line {first + start + 1} on ({where}) it fits the sources better "
                f"{abs(offset)} line{'s' * (abs(offset) > 1)} {way} their own"
            )
    return told, found


def _best_stretch(gains: Numbers) -> tuple[float, int, int]:
    """The largest sum of neighbouring gains, its first place and the place behind its last."""
    sums = np.concatenate([[0.0], gains.cumsum()])
    above = sums - np.minimum.accumulate(sums)
    last = int(above.argmax())
    return float(above[last]), int(sums[: last + 1].argmin()), last


def _is_no_chance(gains: Numbers, best: float, length: int) -> bool:
    """Whether aligned text has no such stretch.

    Where most lines gain nothing by being aligned (shifted, or alike in length), there is no theta,
    and the stretch is compared with a walk of as many steps as it is long.
    """
    if gains.mean() >= 0:
        return length >= FEWEST and best > DEVIATIONS * float(gains.std()) * length**0.5
    low, high = 0.0, 50.0
    for _ in range(50):
        middle = (low + high) / 2
        inside = np.exp(np.minimum(middle * gains, 300)).mean() < 1
        low, high = (middle, high) if inside else (low, middle)
    return bool(np.log(len(gains)) - low * best < np.log(CHANCE))


def _words(line: str) -> set[str]:
    return {word.strip(".,;:!?\"'()").lower() for word in line.split()} - {""}
