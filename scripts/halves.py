"""Two halves of a training set by source: ``python scripts/halves.py FROM TO train de en``.

Writes ``half1.*`` and ``half2.*`` to TO and copies every other file of FROM beside them. A
sentence is in the half that a hash of its source says: a source with several translations is in
one half alone, and a teacher of half 1 has never seen a source of half 2. ``--lines N`` takes the
first N lines alone. Where FROM tells original languages (``test.origlang``), half 2 gets such a
file whose lines are empty: unknown. ``--config FILE`` is the data set whose prepared text
(``text/raw``) FROM is: that of its halves is written beside them, ``halves.yaml``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

import yaml

from kd_plugin.corpus.config import HALVES, HALVES_FILE, halved, read_config


def read_lines(folder: Path, name: str) -> list[str]:
    """Lines of a text file, plain or gzipped, with white space normalised."""
    packed = folder / f"{name}.gz"
    plain = folder / name
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    return [" ".join(line.split()) for line in content.decode("utf-8").split("\n")[:-1]]


def half_of(source: str) -> int:
    """1 or 2."""
    return 1 + (hashlib.sha256(source.encode()).digest()[0] & 1)


def main() -> None:
    """Split the training set and copy the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("origin", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("stem")
    parser.add_argument("codes", nargs=2, help="languages, source first")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--config", type=Path)
    given = parser.parse_args()
    here, there, codes = given.origin, given.target, given.codes
    there.mkdir(parents=True, exist_ok=True)
    sides = [read_lines(here, f"{given.stem}.{code}")[: given.lines] for code in codes]
    halves = [half_of(source) for source in sides[0]]
    for half, called in enumerate(HALVES, 1):
        for code, lines in zip(codes, sides):
            kept = [line for line, of in zip(lines, halves, strict=True) if of == half]
            (there / f"{called}.{code}").write_text("".join(f"{line}\n" for line in kept))
    for file in here.iterdir():
        name = file.name.removesuffix(".gz")
        ending = name.rpartition(".")[2]
        if ending == "origlang":
            (there / f"{HALVES[1]}.{ending}").write_text("\n" * halves.count(2))
        if ending in (*codes, "origlang") and not name.startswith(f"{given.stem}."):
            text = "".join(f"{line}\n" for line in read_lines(here, name))
            (there / name).write_text(text)
    if given.config is not None:
        cfg = halved(read_config(given.config))
        (there / HALVES_FILE).write_text(yaml.safe_dump(cfg, sort_keys=False))


if __name__ == "__main__":
    main()
