"""Scores of single sentences that another program computed: COMET, MetricX, or any metric.

A file beside a system's translations, ``HYP.ENDING``, says what it holds and has a number a line::

    # name: COMET
    # signature: Python3.11.8|Comet2.2.2|fp32|unite-mup
    # better: higher
    0.8312
    0.7725

The signature names version, precision and model, without which such scores cannot be compared
(https://github.com/PinzhenChen/sacreCOMET); ``better`` is ``higher`` or ``lower`` (MetricX).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.whole import write_atomically
from .lines import read_lines
from .scores import Counts, Scores

SCALE = 10**6  # numbers are kept as whole millionths, so that sums do not depend on their order
HEADER = ("name", "signature", "better")


@dataclass(frozen=True)
class Segments:
    """One metric's numbers for the S sentences of every file of translations."""

    name: str
    signature: str
    better: str  # higher or lower
    values: dict[str, list[float]]  # by file

    def counts(self, file: str) -> Counts:
        """What is summed of each sentence [S, 2]: its number, and one."""
        numbers = np.round(np.array(self.values[file]) * SCALE).astype(np.int64)
        return np.stack([numbers, np.ones_like(numbers)], 1)

    def score(self, sums: Counts) -> Scores:
        """Means [...] of summed counts [..., 2]."""
        return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1) / SCALE)


def read_segments(ending: str, files: Sequence[str], sentences: int) -> Segments:
    """The numbers beside each file of translations.

    Raises:
        InputError: a file is missing, has no header, another header than the first, another number
            of lines than there are sentences, or a line that is no finite number.
    """
    flag = f"--segments {ending}:"
    first: tuple[str, dict[str, str]] | None = None
    values = {}
    for file in files:
        path = f"{file}.{ending}"
        lines = read_lines(path, flag)
        header = _header(lines, path, flag)
        first = first or (path, header)
        if header != first[1]:
            raise InputError(
                f"{flag} {path} has another name, signature or direction than {first[0]}; scores "
                "are compared only where one version of one metric made them"
            )
        values[file] = _numbers(lines[len(HEADER) :], path, flag)
        if len(values[file]) != sentences:
            raise InputError(
                f"{flag} {path} has {len(values[file])} numbers for {sentences} sentences; give "
                "one a line, below the header"
            )
    assert first is not None
    return Segments(**first[1], values=values)


def write_segments(
    path: str, name: str, signature: str, better: str, values: Sequence[float]
) -> None:
    """Write a file that :func:`read_segments` reads; whole or not at all."""
    header = zip(HEADER, (name, signature, better))
    lines = [*(f"# {key}: {value}" for key, value in header), *map(repr, values)]
    write_atomically(Path(path), "".join(f"{line}\n" for line in lines))


def _header(lines: Sequence[str], path: str, flag: str) -> dict[str, str]:
    found = {}
    for key, line in zip(HEADER, lines):
        start = f"# {key}:"
        if line.startswith(start) and line.removeprefix(start).strip():
            found[key] = line.removeprefix(start).strip()
    if len(found) != len(HEADER) or found["better"] not in ("higher", "lower"):
        raise InputError(
            f"{flag} {path} does not begin with the lines '# name: ...', '# signature: ...' and "
            "'# better: higher' (or lower); write them above the numbers"
        )
    if "|" in found["name"]:
        raise InputError(f"{flag} {path}: a name in a table has no |; rename it")
    return found


def _numbers(lines: Sequence[str], path: str, flag: str) -> list[float]:
    numbers = []
    for row, line in enumerate(lines, len(HEADER) + 1):
        try:
            numbers.append(float(line))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise InputError(f"{flag} {path}, line {row}: {line!r} is no finite number; mend it")
    return numbers
