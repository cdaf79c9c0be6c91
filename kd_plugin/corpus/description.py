"""The rows of ``fairseq-kd describe`` as a Markdown table and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.picture import new_figure, save

Row = Mapping[str, Any]
COLUMNS = {  # heading and form
    "sentences": ("sentences", ",d"), "words": ("words", ",d"), "types": ("types", ",d"),
    "entropy_1": ("H1", ".3f"), "entropy_2": ("H2", ".3f"), "conditional": ("H2 - H1", ".3f"),
    "length_ratio": ("words / source", ".3f"), "copies": ("copies", ".2%"),
    "identical": ("= reference", ".2%"), "bleu": ("BLEU", ".2f"), "chrf": ("chrF", ".2f"),
    "oracle_bleu": ("oracle BLEU", ".2f"), "oracle_chrf": ("oracle chrF", ".2f"),
    "translation_entropy": ("C(d)", ".3f"), "translation_entropy_tokens": ("H(Y|X)", ".3f"),
    "reordering": ("FRS", ".4f"), "linked": ("linked", ".1%"),
    "oscillatory": ("oscillatory", ".3%"), "natural": ("natural", ".3%"),
    "replicated_asked": ("asked again", ",d"), "extractive": ("extractive", ".2%"),
}  # fmt: skip
ALWAYS = 13  # columns; the others where a text has them
PANELS = {  # of the picture: what, and what its axis says
    "types": "different words",
    "conditional": "H(word | word before), bits",
    "translation_entropy": "C(d), bits",
    "reordering": "fuzzy reordering score (1: monotone)",
    "length_ratio": "words for a word of the source",
    "bleu": "BLEU (filled), oracle BLEU (open)",
    "identical": "translations equal to the reference",
    "extractive": "replicated ones that a prefix is enough for",
    "oscillatory": "oscillatory hallucinations",
    "natural": "natural hallucinations",
}
ORACLE = {"bleu": "oracle_bleu"}
SHARES = ("identical", "extractive", "oscillatory", "natural")
ACROSS = 3  # panels


def markdown(rows: Sequence[Row]) -> str:
    """A table; what a row has not is a dash."""
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    shown = {
        key: column
        for place, (key, column) in enumerate(COLUMNS.items())
        if place < ALWAYS or any(key in row for row in rows)
    }
    yield "| text | " + " | ".join(heading for heading, _ in shown.values()) + " |"
    yield "|---|" + "---:|" * len(shown)
    for row in rows:
        cells = ["-" if row.get(k) is None else format(row[k], f) for k, (_, f) in shown.items()]
        yield f"| {row['text']} | " + " | ".join(cells) + " |"


def draw(rows: Sequence[Row], path: Path) -> None:
    """A PNG with a panel for each measure and a row for each text; a line marks the references.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    panels = [name for name in PANELS if any(row.get(name) is not None for row in rows)]
    down = -(-len(panels) // ACROSS)
    height = 0.9 + 0.28 * len(rows)
    figure = new_figure(path, 11, down * height)
    grid = figure.subplots(down, ACROSS, squeeze=False, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place < len(panels):
            _panel(axes, rows, panels[place])
        else:
            axes.set_visible(False)
    save(figure, path)


def _panel(axes: Any, rows: Sequence[Row], name: str) -> None:
    for row, text in enumerate(rows):
        value, most = text.get(name), text.get(ORACLE.get(name, ""))
        if value is not None:
            axes.plot(value, row, "o", color="#999999" if row == 0 else "#1f5a96")
        if most is not None:
            axes.plot(most, row, "o", mfc="none", color="#1f5a96")
    if rows[0].get(name) is not None:
        axes.axvline(rows[0][name], color="#999999", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(rows)), [_short(text["text"]) for text in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(PANELS[name], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.margins(x=0.15)
    if name in SHARES:
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
        axes.set_xlim(0, 1.15 * max(row.get(name) or 0 for row in rows) or 0.01)
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"...{name[3 - most :]}"
