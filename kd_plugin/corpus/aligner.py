"""Alignments of words by eflomal (Oestling & Tiedemann, 2016), a program that is run where it is.

eflomal draws from the system's randomness, so that two runs differ a little: what it found is kept
in a folder, under the hash of the text, and taken from there the next time.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import InputError
from ..files.output import explained, new_file
from .links import intersection

PROGRAM = "eflomal-align"
Pairs = Iterable[tuple[int, str, str]]  # row, source, translation


def find_aligner() -> str:
    """The program, on PATH or beside Python.

    Raises:
        InputError: it is not installed.
    """
    beside = Path(sys.executable).parent / PROGRAM
    found = shutil.which(PROGRAM) or (str(beside) if beside.is_file() else None)
    if found is None:
        raise InputError(
            f"--align needs {PROGRAM}; type: pip install 'kd-plugin[align]' (it needs a C "
            "compiler), or give --alignments FILE of another aligner"
        )
    return found


def align(pairs: Pairs, sentences: int, folder: Path) -> Path:
    """The file of a text's links, a line a sentence; made where the folder has none.

    Links are those that both directions have. eflomal holds the text in memory.

    Args:
        pairs: in order; a row that is not among them, or has an empty side, has an empty line.
        sentences: of the data.
        folder: where links are kept.

    Raises:
        InputError: eflomal is not installed, or fails.
    """
    program = find_aligner()
    with explained(folder, "--align"):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".kd-part", dir=folder) as scratch:
        sides = [Path(scratch) / name for name in ("source", "target")]
        rows = Path(scratch) / "rows"
        path = folder / f"{_write(pairs, sentences, sides, rows)}.pharaoh"
        if path.exists():
            return path
        found = [Path(scratch) / name for name in ("forward", "backward")]
        words = [program, "-s", *map(str, sides[:1]), "-t", str(sides[1])]
        words += ["-f", str(found[0]), "-r", str(found[1])]
        if sides[0].stat().st_size:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace")
            if done.returncode:
                why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
                raise InputError(
                    f"--align: {PROGRAM} failed ({why[:200]}); give --alignments FILE of another "
                    "aligner"
                )
        else:
            for empty in found:
                empty.touch()
        with new_file(path, "--align", replace=True) as part, open(part, "w") as out:
            out.writelines(f"{line}\n" for line in _spread(rows, found, sentences))
    return path


def _write(pairs: Pairs, sentences: int, sides: list[Path], rows: Path) -> str:
    """Write what is aligned and its rows; returns the hash of all."""
    digest = hashlib.sha256(str(sentences).encode())
    with open(sides[0], "wb") as first, open(sides[1], "wb") as second, open(rows, "w") as third:
        for row, source, text in pairs:
            ours, theirs = (f"{' '.join(side.split())}\n".encode() for side in (source, text))
            digest.update(b"%d\n%b%b" % (row, ours, theirs))
            if len(ours) > 1 and len(theirs) > 1:
                first.write(ours)
                second.write(theirs)
                third.write(f"{row}\n")
    return digest.hexdigest()[:16]


def _spread(rows: Path, found: list[Path], sentences: int) -> Iterator[str]:
    """A line a sentence, from the lines of those that were aligned."""
    with open(rows) as numbers, open(found[0]) as forward, open(found[1]) as backward:
        at = 0
        for number, links in zip(numbers, intersection(forward, backward), strict=True):
            yield from itertools.repeat("", int(number) - at)
            yield links
            at = int(number) + 1
        yield from itertools.repeat("", sentences - at)
