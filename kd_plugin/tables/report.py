"""The page of a table, in four forms, from its plan and what the ledger has, and its pictures."""

from __future__ import annotations

from pathlib import Path

from ..files.output import explained
from ..files.whole import write_atomically
from .blocks import Picture
from .document import document
from .locate import find_scale
from .page import html
from .part import part_of
from .plots import pictures
from .progress import read_plan
from .read import read_table
from .render import as_csv, latex, markdown
from .view import view


def write_report(plan_file: Path, output: Path, shuffles: int) -> Path:
    """Score, and write table.md, .tex, .csv and .html, and the pictures of table.md.

    Args:
        plan_file: plan.json; the ledger stands in the folder above its own.
        output: folder of the page.
        shuffles: of the significance test.

    Returns:
        The path of the HTML page.

    Raises:
        InputError: the plan or its table is damaged, or the folder cannot be written.
    """
    plan = read_plan(plan_file)
    whole = read_table(Path(plan["file"]))
    scale = find_scale(whole, plan["scale"], plan["changes"])
    table, scale = part_of(whole, scale, plan["changes"].get("rows"))
    found = view(table, plan, plan_file.resolve().parent.parent, shuffles)
    blocks = document(found, scale, pictures(found))
    files = {
        "table.md": markdown(blocks),
        "table.tex": latex(blocks),
        "table.csv": as_csv(found),
        "table.html": html(blocks),
        **{f"{each.name}.svg": each.file for each in blocks if isinstance(each, Picture)},
    }
    with explained(output):
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomically(output / name, text)
    return output / "table.html"
