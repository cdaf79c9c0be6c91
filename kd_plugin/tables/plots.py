"""The pictures of a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from ..errors import InputError
from .blocks import Picture
from .table import Curve
from .view import View

OURS, THEIRS = "#1f5a96", "#b5541c"
STYLES = ("o-", "s--", "^-.", "v:", "D-", "P--", "X-.")


def pictures(view: View) -> Iterator[Picture]:
    """Those for which there are numbers.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("a page has pictures; type: pip install 'kd-plugin[tables]'") from None
    for student in view.lines:
        yield from _differences(view, student)
    for number, curve in enumerate(view.table.curves, 1):
        yield from _curve(view, curve, f"curve-{number}")
    yield from _size(view)
    for student in view.lines:
        yield from _learning(view, student)


def _differences(view: View, student: str) -> Iterator[Picture]:
    """Each row's difference to the baseline, ours and the paper's."""
    table = view.table
    decoding = next(iter(table.decoding))
    ours = {
        line.label: line.scores[decoding]["BLEU"]
        for line in view.lines[student]
        if decoding in line.scores
        and line.scores[decoding]["BLEU"].difference is not None
        and line.student
    }
    theirs: dict[str, float] = {}
    for numbers in table.published:
        if numbers.ours == "BLEU" and numbers.decoding in ("", decoding):
            for row in view.compared(numbers).get(student, []):
                if row.published_difference is not None and row.label != "teacher":
                    theirs.setdefault(row.label, row.published_difference)
    labels = [*dict.fromkeys((*ours, *theirs))]
    if not ours or not labels:
        return
    figure, axes = _figure(1.0 + 0.4 * len(labels))
    for height, label in enumerate(reversed(labels)):
        if label in ours:
            score = ours[label]
            if score.paired:
                axes.plot(score.paired.interval, [height] * 2, color=OURS, linewidth=2)
            axes.plot(score.difference, height, "o", color=OURS)
        if label in theirs:
            axes.plot(theirs[label], height, "D", color=THEIRS, markerfacecolor="none")
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks(range(len(labels)), list(reversed(labels)))
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(f"BLEU, difference to {table.baseline}")
    whose = f"{table.students[student].label}: " if len(table.students) > 1 else ""
    told = f"{whose}differences to {table.baseline}; filled: ours ({view.plan['data']}, {decoding})"
    if any(score.paired for score in ours.values()):
        told += " with the 95 % interval over seeds and sentences"
    if theirs:
        told += "; hollow: published"
    yield _picture(f"differences-{student}", told, figure)


def _curve(view: View, curve: Curve, name: str) -> Iterator[Picture]:
    """Rows over students that differ in one number."""
    decoding = next(iter(view.table.decoding))
    figure, axes = _figure(3.4)
    drawn = False
    for row, style in zip(curve.rows, STYLES * len(curve.rows)):
        points = []
        for student, at in sorted(curve.at.items(), key=lambda item: item[1]):
            lines = [
                line for line in view.lines.get(student, []) if line.row == row and line.scores
            ]
            points += [(at, line.scores[decoding]["BLEU"]) for line in lines]
        if points:
            drawn = True
            axes.errorbar(
                [at for at, _ in points],
                [score.mean for _, score in points],
                yerr=[score.sd or 0 for _, score in points],
                fmt=style, capsize=3, label=view.table.rows[row].label,
            )  # fmt: skip
    if drawn:
        axes.set_xlabel(curve.axis)
        axes.set_ylabel(f"BLEU ({decoding})")
        axes.legend(frameon=False)
        told = f"{curve.title}; mean and standard deviation over seeds ({view.plan['data']})"
        yield _picture(name, told, figure)


def _size(view: View) -> Iterator[Picture]:
    """Quality against size, where sizes differ."""
    decoding, points = next(iter(view.table.decoding)), {}
    for lines in view.lines.values():
        for line in lines:
            size, bleu = line.fact("parameters"), line.measure("BLEU", decoding)
            if size is not None and bleu is not None:
                points[f"{line.label} {line.student}".strip()] = (size / 1e6, bleu, line.student)
    if len({size for size, _, _ in points.values()}) < 2:
        return
    figure, axes = _figure(3.4)
    for size, bleu, student in points.values():
        axes.plot(size, bleu, "o" if student else "*", color=OURS if student else THEIRS)
    best = {size: max((b, n) for n, (s, b, _) in points.items() if s == size)
            for size, _, _ in points.values()}  # fmt: skip
    for size, (bleu, name) in best.items():
        axes.annotate(name, (size, bleu), (4, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.25, y=0.15)
    axes.set_xlabel("million parameters (logarithmic)")
    axes.set_ylabel(f"BLEU ({decoding})")
    yield _picture("size", "quality against size; named: the best of each size", figure)


def _learning(view: View, student: str) -> Iterator[Picture]:
    """Perplexity on the valid set over updates, of the first seed of each row."""
    figure, axes = _figure(3.4)
    drawn = False
    for line, style in zip(view.lines[student], STYLES * 9):
        points = [p[:2] for p in line.entries[0]["training"]["learning"]] if line.entries else []
        if len(points) > 1 and line.student:
            drawn = True
            axes.plot(*zip(*points), style, markersize=3, linewidth=1, label=line.label)
    if drawn:
        axes.set_xlabel("updates")
        axes.set_ylabel("perplexity, valid set (logarithmic)")
        axes.set_yscale("log")
        for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which("{x:g}")
        axes.legend(frameon=False, fontsize=8)
        whose = f"{view.table.students[student].label}: " if len(view.table.students) > 1 else ""
        told = f"{whose}learning curves, one seed of each row"
        yield _picture(f"learning-{student}", told, figure)


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def _picture(name: str, caption: str, figure: Any) -> Picture:
    """The element alone: no declaration, no metadata, no address; the same bytes each time."""
    import matplotlib

    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    return Picture(name, caption, svg)
