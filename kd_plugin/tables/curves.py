"""Learning curves: what train.log tells, and when one row passes another.

A curve is a list of points: update, perplexity on the valid set, seconds of training until then,
BLEU on the valid set where training asks for it. The latter two may be unknown (None).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Point = Sequence[Any]
POINTS = 60  # of a curve that is kept, at most
UPDATE, PPL, SECONDS, BLEU = range(4)
Axis = NDArray[np.float64]


def learning(log: str) -> list[list[float | None]]:
    """The curve of a training.

    Seconds are the ``wall`` of the lines on training, between which they are interpolated: it is
    told in whole seconds, all starts together.
    """
    walls = {0.0: 0.0}
    for line in log.splitlines():
        update, wall = _value("num_updates", line), _value("wall", line)
        if update is not None and wall is not None:
            walls[update] = wall
    known = np.array(sorted(walls.items()))  # [n, 2]
    points = list[list[float | None]]()
    for line in re.findall(r"\| valid on 'valid' subset (\|.*)", log):
        update, ppl = _value("num_updates", line), _value("ppl", line)
        if update is not None and ppl is not None:
            seconds = float(np.interp(update, *known.T)) if len(known) > 1 else None
            points.append([int(update), ppl, seconds, _value("bleu", line)])
    return points


def thinned(points: Sequence[Any]) -> list[Any]:
    """At most so many of a curve, the last among them."""
    step = max(1, -(-len(points) // POINTS))
    return list(points[::-1][::step][::-1])


def _value(name: str, line: str) -> float | None:
    """A number of fairseq's line of a log."""
    found = re.search(rf"\| {name} ([\d.]+)", line)
    return float(found[1]) if found else None


@dataclass(frozen=True)
class Curve:
    """What a row reaches, mean over its seeds, better being higher."""

    updates: Axis  # [n], rising
    seconds: Axis | None  # [n]
    reached: Axis  # [n]

    def on(self, axis: str) -> tuple[Axis, Axis] | None:
        """The points over ``updates`` or ``seconds``."""
        where: Axis | None = getattr(self, axis)
        return None if where is None else (where, self.reached)


def curves(rows: Mapping[str, Sequence[Sequence[Point]]]) -> tuple[str, dict[str, Curve]]:
    """The curves of rows, and what they are of: BLEU where all tell it, else perplexity.

    Args:
        rows: of each row the points of each seed; rows without two points are left out.
    """
    told = {
        row: [[(*point, None, None)[:4] for point in seed] for seed in seeds if len(seed) > 1]
        for row, seeds in rows.items()
    }
    told = {row: seeds for row, seeds in told.items() if seeds}
    points = [point for seeds in told.values() for seed in seeds for point in seed]
    measure = BLEU if points and all(point[BLEU] is not None for point in points) else PPL
    sign = 1 if measure == BLEU else -1
    return ("BLEU" if measure == BLEU else "perplexity"), {
        row: _mean(seeds, measure, sign) for row, seeds in told.items()
    }


def _mean(seeds: Sequence[Sequence[Point]], measure: int, sign: int) -> Curve:
    """At the updates of the first seed that all have reached."""
    last = min(seed[-1][UPDATE] for seed in seeds)
    updates = np.array([float(p[UPDATE]) for p in seeds[0] if p[UPDATE] <= last])

    def mean(what: int) -> Axis:
        each = [np.interp(updates, *_columns(seed, what)) for seed in seeds]
        return np.asarray(np.mean(each, axis=0))

    timed = all(point[SECONDS] is not None for seed in seeds for point in seed)
    return Curve(updates, mean(SECONDS) if timed else None, sign * mean(measure))


def _columns(points: Sequence[Point], what: int) -> tuple[Axis, Axis]:
    table = np.array([[point[UPDATE], point[what]] for point in points], float)
    return table[:, 0], table[:, 1]


def passes(ours: Curve, theirs: Curve, axis: str) -> float | None:
    """Where on the axis one row passes another and stays better, up to the end of the shorter.

    Between validations both are taken to be straight. 0 where it is better from the first common
    point on; None where it is not better at the end, or the axis is unknown.
    """
    one, other = ours.on(axis), theirs.on(axis)
    if one is None or other is None:
        return None
    low, high = max(one[0][0], other[0][0]), min(one[0][-1], other[0][-1])
    at = np.unique(np.clip(np.concatenate([one[0], other[0]]), low, high))
    ahead = np.interp(at, *one) - np.interp(at, *other)
    if low > high or ahead[-1] <= 0:
        return None
    behind = np.flatnonzero(ahead <= 0)
    if not len(behind):
        return 0.0
    k = int(behind[-1])
    share = -ahead[k] / (ahead[k + 1] - ahead[k])
    return float(at[k] + share * (at[k + 1] - at[k]))


def common_end(found: Mapping[str, Curve], axis: str) -> float | None:
    """The last point on an axis that all rows have reached."""
    ends = [c.on(axis) for c in found.values()]
    if not ends or any(end is None for end in ends):
        return None
    return min(float(end[0][-1]) for end in ends if end is not None)


def reached(curve: Curve, axis: str, at: float) -> float | None:
    """What a row has there; None before its first validation."""
    points = curve.on(axis)
    assert points is not None
    return None if at < points[0][0] else abs(float(np.interp(at, *points)))
