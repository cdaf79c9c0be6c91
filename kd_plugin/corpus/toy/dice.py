"""Random choices that are the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws from a stream of random numbers.

    It uses nothing but ``Random.random``, multiplication and the square root, whose results
    Python and IEEE 754 fix for every version and machine.
    """

    def __init__(self, seed: int, stream: str):
        """Streams of one seed are independent, so that one can be longer and change no other."""
        self._random = Random(f"{seed} {stream}").random

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self._random() < p

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1, each as likely as any other."""
        return int(self._random() * n)

    def any(self, options: Sequence[T]) -> T:
        """An option, each as likely as any other."""
        return options[self.below(len(options))]

    def early(self, options: Sequence[T]) -> T:
        """An option, the early ones more often, as words are in a text."""
        u = self._random()
        return options[int(u * math.sqrt(u) * len(options))]
