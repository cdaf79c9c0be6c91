"""Choices: at random but the same on every machine, or all of them, one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")

WEIGHTS = (6, 3, 1)
"""How the variants of a word are weighed, the first most."""


class Chooser(Protocol):
    """Takes one of several options."""

    def __call__(self, options: Sequence[T], weights: Sequence[int] = WEIGHTS) -> T:
        """One option, in proportion to its weight; weights beyond the options are ignored."""


class Dice:
    """A random chooser.

    It uses nothing but ``Random.random``, multiplication and the square root, whose results
    Python and IEEE 754 fix for every version and machine.
    """

    def __init__(self, seed: int, stream: str):
        """Streams of one seed are independent, so that one can be longer and change no other."""
        self._random = Random(f"{seed} {stream}").random

    def __call__(self, options: Sequence[T], weights: Sequence[int] = WEIGHTS) -> T:
        weights = weights[: len(options)]
        left = self._random() * sum(weights)
        for option, weight in zip(options, weights):
            left -= weight
            if left < 0:
                return option
        return options[-1]

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

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self._random() < p


class _Replay:
    """Takes the options that a path tells, then the first of each further choice."""

    def __init__(self, path: list[int]):
        self.path, self.sizes, self.probability = path, list[int](), 1.0

    def __call__(self, options: Sequence[T], weights: Sequence[int] = WEIGHTS) -> T:
        at = len(self.sizes)
        if at == len(self.path):
            self.path.append(0)
        self.sizes.append(len(options))
        weights = weights[: len(options)]
        self.probability *= weights[self.path[at]] / sum(weights)
        return options[self.path[at]]


def outcomes(function: Callable[[Chooser], T]) -> Iterator[tuple[T, float]]:
    """Every outcome of a function of a chooser, with the probability of the way that led to it."""
    path: list[int] = []
    while True:
        replay = _Replay(path)
        yield function(replay), replay.probability
        path = replay.path
        while path and path[-1] + 1 == replay.sizes[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1
