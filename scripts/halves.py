"""Two halves of a training set by source: ``python scripts/halves.py FROM TO train de en``.

Writes ``half1.*`` and ``half2.*`` to TO and copies every other file of FROM beside them. A
sentence is in the half that a hash of its source says: a source with several translations is in
one half alone, and a teacher of half 1 has never seen a source of half 2. Where FROM tells
original languages (``test.origlang``), half 2 gets such a file whose lines are empty: unknown.
``fairseq-kd prepare --halves`` cuts any data set so; this is for data files of the halves
(``train: half1``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kd_plugin.corpus.prepare import half_of
from kd_plugin.corpus.raw import read_lines
from kd_plugin.errors import InputError


def main() -> None:
    """Split the training set and copy the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("origin", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("stem")
    parser.add_argument("codes", nargs=2, help="languages, source first")
    given = parser.parse_args()
    here, there, codes = given.origin, given.target, given.codes
    sides = [read_lines(here, f"{given.stem}.{code}") for code in codes]
    there.mkdir(parents=True, exist_ok=True)
    halves = [half_of(source) for source in sides[0]]
    for half in (1, 2):
        for code, lines in zip(codes, sides):
            kept = [line for line, of in zip(lines, halves, strict=True) if of == half]
            (there / f"half{half}.{code}").write_text("".join(f"{line}\n" for line in kept))
    for file in here.iterdir():
        name = file.name.removesuffix(".gz")
        if name.endswith(".origlang"):
            (there / "half2.origlang").write_text("\n" * halves.count(2))
        wanted = any(name.endswith(f".{code}") for code in (*codes, "origlang"))
        if wanted and not name.startswith(f"{given.stem}."):
            text = "".join(f"{line}\n" for line in read_lines(here, name))
            (there / name).write_text(text)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"halves.py: error: {error}")
