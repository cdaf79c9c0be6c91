"""Damage: what goes wrong in the targets of a real corpus."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .dice import Dice

KINDS = ("misaligned",) * 4 + ("dropped",) * 3 + ("swapped",) * 3
"""Of ten damaged lines, how many have the line before, miss words, have two words swapped."""


def damage(lines: Sequence[str], share: float, dice: Dice) -> list[str]:
    """A copy of ``lines`` in which ``round(share * len(lines))`` are damaged, each one visibly.

    Each line has two different words or more, and where a misaligned line is asked for, not all
    lines are the same.
    """
    damaged = list(lines)
    for rank, row in enumerate(_sample(len(lines), round(share * len(lines)), dice)):
        match KINDS[rank % len(KINDS)]:
            case "misaligned":
                damaged[row] = _line_before(lines, row)
            case "dropped":
                damaged[row] = drop_words(lines[row], dice)
            case _:
                damaged[row] = swap_neighbours(lines[row], dice)
    return damaged


def drop_words(line: str, dice: Dice) -> str:
    """A line without one word or two neighbours; at least one word is left."""
    words = line.split()
    n = min(1 + dice.below(2), len(words) - 1)
    start = dice.below(len(words) - n + 1)
    return " ".join(words[:start] + words[start + n :])


def swap_neighbours(line: str, dice: Dice) -> str:
    """A line in which two different neighbours changed places."""
    words = line.split()
    i = dice.any([i for i, (a, b) in enumerate(pairwise(words)) if a != b])
    words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def _line_before(lines: Sequence[str], row: int) -> str:
    """The nearest line before (the first one follows the last) that is another text."""
    before = (lines[(row - step) % len(lines)] for step in range(1, len(lines)))
    return next(line for line in before if line != lines[row])


def _sample(n: int, k: int, dice: Dice) -> list[int]:
    """k different numbers below n, in random order."""
    rows = list(range(n))
    for i in range(k):
        j = i + dice.below(n - i)
        rows[i], rows[j] = rows[j], rows[i]
    return rows[:k]
