"""The blocks of a page as Markdown and LaTeX, and its numbers as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from ..report.table import grid
from .blocks import Block, Code, Grid, Heading, Picture, Text
from .measures import FACTS
from .view import Line, View

TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "≥": r"$\geq$", "≤": r"$\leq$", "↓": r"$\downarrow$", "<": "$<$", ">": "$>$",
    "|": "$|$",
}  # fmt: skip


def markdown(blocks: Sequence[Block]) -> str:
    """The page, with its pictures as files beside it."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Code):
        return "\n".join(f"    {line}" for line in block.lines)
    if isinstance(block, Grid):
        rows = [[cell.replace("|", "\\|") for cell in row] for row in block.rows]
        return grid(block.columns, rows, block.words)
    if isinstance(block, Picture):
        return f"![{block.caption}]({block.name}.svg)"
    return block.text


def latex(blocks: Sequence[Block]) -> str:
    r"""For ``\input``; tables want the packages booktabs and, where they are long, longtable."""
    written = [_latex(block) for block in blocks if not isinstance(block, Picture)]
    return "% \\usepackage{booktabs}\n" + "\n\n".join(written) + "\n"


def _latex(block: Heading | Text | Code | Grid) -> str:
    if isinstance(block, Heading):
        return rf"\{'section' if block.level == 1 else 'subsection'}*{{{escaped(block.text)}}}"
    if isinstance(block, Code):
        return "\n".join([r"\begin{verbatim}", *block.lines, r"\end{verbatim}"])
    if isinstance(block, Text):
        return escaped(block.text)
    layout = "l" + "".join("l" if name in block.words else "r" for name in block.columns[1:])
    rows = [" & ".join(map(escaped, row)) + r" \\" for row in block.rows]
    head = " & ".join(map(escaped, block.columns)) + r" \\"
    lines = [r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{layout}}}", *lines, r"\end{tabular}"])


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return re.sub(".", lambda found: TEX.get(found[0], found[0]), text)


COLUMNS = (
    "table", "scale", "data", "student", "row", "decoding", "metric", "runs", "mean", "sd",
    "difference", "p_holm", "paired_p", "accuracy", "length", "state", *FACTS, "hours_with_share",
)  # fmt: skip


def as_csv(view: View) -> str:
    """A line for each row, decoding and metric, and for what is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_csv(view))
    return text.getvalue()


def _csv(view: View) -> Iterator[list[object]]:
    start = [view.plan[name] for name in ("table", "scale", "data")]
    for student, lines in view.lines.items():
        for line in lines:
            if not line.scores:
                yield [*start, student, line.label, "", "", 0, *[""] * 7, line.state, *_facts(line)]
            for decoding, metrics in line.scores.items():
                for metric, s in metrics.items():
                    paired_p = s.paired.p if s.paired else None
                    yield [
                        *start, student, line.label, decoding, metric, len(line.entries), s.mean,
                        s.sd, s.difference, s.p_holm, paired_p, s.accuracy, s.length, line.state,
                        *_facts(line),
                    ]  # fmt: skip


def _facts(line: Line) -> list[object]:
    """Means over runs, in the ledger's units; nothing where nothing is known."""
    hours = sum(line.hours) / len(line.hours) if line.hours else None
    return [*(line.fact(name) for name in FACTS), hours]
