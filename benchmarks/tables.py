"""Write the tables and the picture of docs/benchmarks.md from benchmarks/results.json.

usage: python -m benchmarks.tables [--check]
"""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from kd_plugin.files.whole import write_atomically

from .measuring import RESULTS

PAGE = RESULTS.parent.parent / "docs" / "benchmarks.md"
PICTURE = PAGE.with_name("benchmarks.svg")
COLUMNS = ("what", "on", "ratio (range)", "floor", "ratio / floor", "ms")
MARK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(part: dict[str, Any]) -> str:
    """A part's rows, and below what measured them."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---:|---:|---:|---:|"]
    for row in part["rows"]:
        scatter = " ({:.3f}-{:.3f})".format(*row["range"]) if "range" in row else ""
        floor, name = row.get("floor"), f" ({row['id']})" if "id" in row else ""
        lines.append(
            f"| {row['what']}{name} | {row['model']} | {row['ratio']:.3f}{scatter} "
            f"| {'' if floor is None else f'{floor:.3f}'} "
            f"| {'' if floor is None else format(row['ratio'] / floor, '.3f')} | {cost(row)} |"
        )
    times = {row["repetitions"] for row in part["rows"]}
    versions = ", ".join(f"{name} {number}" for name, number in part["versions"].items())
    told = f"`{part['command']}`: {part['machine']}, {versions}; commit {part['commit']}, "
    return "\n".join([*lines, "", f"{told}{max(times)} repetition{'s' * (max(times) > 1)}.", ""])


def cost(row: dict[str, Any]) -> str:
    """What both sides took: theirs / ours."""
    if "megabytes" in row:
        return "{:,.0f} MB / {:,.0f} MB".format(*row["megabytes"])
    if "recall" in row:
        both = zip(row["seconds"], row["recall"])
        return " / ".join(f"{s:.1f} s, recall {r:.3f}" for s, r in both)
    return " / ".join(f"{1000 * each:.1f}" for each in row["seconds"])


def page(known: dict[str, Any], text: str) -> str:
    """The page with its tables."""

    def filled(found: re.Match[str]) -> str:
        part = known.get(found[2])
        return found[1] + (table(part) if part else "Not measured yet.\n") + found[3]

    return MARK.sub(filled, text)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Ratio against vocabulary, tokens of a batch, and kept tokens."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot

    axes = list(dict.fromkeys(row["axis"] for row in rows))
    figure, panels = pyplot.subplots(1, len(axes), figsize=(9, 2.8), sharey=True)
    names = {"vocabulary": "vocabulary", "tokens": "target tokens", "kept": "kept tokens"}
    for axis, panel in zip(axes, panels):
        points = [row for row in rows if row["axis"] == axis]
        x, y = [row["x"] for row in points], [row["ratio"] for row in points]
        low = [row["ratio"] - row["range"][0] for row in points]
        high = [row["range"][1] - row["ratio"] for row in points]
        panel.errorbar(x, y, yerr=[low, high], marker="o", capsize=3)
        panel.set_xscale("log", base=2)
        panel.set_xticks(x, [f"{each:,}" for each in x])
        panel.set_xlabel(names[axis])
        panel.axhline(1, color="grey", linewidth=0.8)
        panel.set_ylim(bottom=0)
    panels[0].set_ylabel("time / fairseq's NLL")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    """Write both, or check the page."""
    logging.disable(logging.INFO)  # matplotlib tells of every font
    known = json.loads(RESULTS.read_text())
    text = PAGE.read_text("utf-8")
    ours = page(known, text)
    if "--check" in sys.argv:
        if ours != text:
            sys.exit(f"{PAGE} is not made of {RESULTS}; run python -m benchmarks.tables")
        return
    write_atomically(PAGE, ours)
    if "curves" in known:
        draw(known["curves"]["rows"], PICTURE)


if __name__ == "__main__":
    main()
