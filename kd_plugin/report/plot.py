"""A picture of a comparison: each system's mean, its deviation over seeds, and the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..files.picture import new_figure, save
from .comparison import System


def draw(systems: Sequence[System], metric: str, note: str, path: Path) -> None:
    """Write a PNG with a row for each system; ``note`` stands below, as the table's signature does.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure = new_figure(path, 7, 1.2 + 0.45 * len(systems))
    axes = figure.add_subplot()
    for row, system in enumerate(reversed(systems)):
        score = system.scores[metric]
        axes.errorbar(score.mean, row, xerr=score.sd, fmt="o", color="#1f5a96", capsize=4)
        axes.plot(score.runs, [row] * system.n, "|", color="#999999", markersize=9)
        axes.annotate(
            f"{score.mean:.1f}", (score.mean, row), (0, 7), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(systems)), [f"{s.name} (n = {s.n})" for s in reversed(systems)])
    axes.set_ylim(-0.5, len(systems) - 0.2)
    axes.set_xlabel(f"{metric}: mean, standard deviation over seeds, runs\n{note}", fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    save(figure, path)
