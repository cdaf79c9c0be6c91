"""What came out: a line for each run of each row, and its translations beside it, compressed.

``ledger.jsonl`` of a folder is only ever added to. A row that is run again with other settings has
another model and gets another line; of several lines for one cell the last counts. Translations are
named by their sha256, so that a metric of later years can join.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.schema import fault, parse
from ..files.whole import write_atomically
from .measures import FACTS, NUMBER

LEDGER = "ledger.jsonl"
TEXTS = "translations"
CELL = ("table", "scale", "data", "student", "row", "seed")
SHAPE = {
    **dict.fromkeys(CELL, str),
    "seed": int,
    "model": str,
    "scores": {str: {"BLEU": float, "chrF": float}},
    "signatures": {str: str},
    "translations": {str: str},
    "translated": (str, None),
    "compared": (str, None),
    "references": str,
    "origlang": (str, None),
    "needed": {str: NUMBER},
    "training": {
        "signature": (str, None),
        "learning": [list],
        **dict.fromkeys(FACTS, NUMBER),
    },
    "versions": {str: str},
    "commit": (str, None),
    "finished": str,
}
# What lines of earlier versions lack.
UNSAID: dict[str, Any] = {"origlang": None, "needed": {}, "translated": None, "compared": None}
Entry = dict[str, Any]


def read_ledger(folder: Path) -> list[Entry]:
    """The lines of a folder's ledger, in order; none where there is no ledger yet.

    Raises:
        InputError: a line is damaged.
    """
    path = folder / LEDGER
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            entries.append(_entry(line))
        except ValueError as error:
            raise InputError(
                f"{path}, line {number} is damaged ({error}); remove the line, and the folder "
                "steps/record-* of its run, which writes it again"
            ) from None
    return entries


def _entry(line: str) -> Entry:
    """A line; what is measured since it was written is unknown.

    Raises:
        ValueError: it is damaged.
    """
    found: Entry = UNSAID | parse(line, {"training": dict})
    found["training"] = dict.fromkeys(FACTS) | found["training"]
    wrong = fault(found, SHAPE)
    if wrong:
        raise ValueError(wrong)
    return found


def by_translation(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Lines of whichever table by their translating step, as far as they name it."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry["translated"] is not None:
            found.setdefault(entry["translated"], []).append(entry)
    return found


def append(folder: Path, *lines: Entry) -> None:
    """Add lines, but those that are there; the file is replaced as a whole."""
    with _locked(folder):
        entries = read_ledger(folder)
        before = len(entries)
        for entry in (_entry(json.dumps(line)) for line in lines):
            if not any(_same(entry, other) for other in entries):
                entries.append(entry)
        if len(entries) > before:
            text = "".join(json.dumps(one, sort_keys=True) + "\n" for one in entries)
            write_atomically(folder / LEDGER, text)


def _same(entry: Entry, other: Entry) -> bool:
    names = set(SHAPE) - {"scores", "signatures", "versions", "commit", "finished"}
    return all(entry[name] == other[name] for name in names)


def keep(folder: Path, text: Path) -> str:
    """Keep a file of text, compressed; returns its name in the folder of the ledger."""
    content = text.read_bytes()
    name = f"{TEXTS}/{hashlib.sha256(content).hexdigest()}.gz"
    path = folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, gzip.compress(content, mtime=0))
    return name


def kept(folder: Path, name: str) -> bytes:
    """The text that :func:`keep` kept.

    Raises:
        InputError: it is gone or damaged.
    """
    path = folder / name
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}); put it back from a copy") from None
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise InputError(f"{path} is not the text that its name says; put it back from a copy")
    return content


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{LEDGER}.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
