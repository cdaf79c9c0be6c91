"""Writing beside and moving into place, and what identifies a file."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .output import explained, is_at

_HASH = re.compile("[0-9a-f]{64}")


def sha256(path: str | Path) -> str:
    """The hash of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def to_json(value: Any) -> str:
    """Readable JSON, the same bytes for the same value."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def first_difference(theirs: Any, ours: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The first setting in which two mappings differ, named by the keys that lead to it.

    Returns:
        Its name with dots, and both values (None where there is none); None for equal mappings.
    """
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in {**theirs, **ours}:
            inner = f"{name}.{key}" if name else str(key)
            found = first_difference(theirs.get(key), ours.get(key), inner)
            if found:
                return found
        return None
    return None if theirs == ours else (name, theirs, ours)


def difference(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], other: str = "this command"
) -> str | None:
    """The first difference between the settings of a file and those of ``other``, in words.

    Returns:
        ``beam 5 and this command says 4``, or ``another teacher than this command says`` where
        hashes differ, to stand behind "was made with"; None for equal settings.
    """
    found = first_difference(_comparable(theirs), _comparable(ours))
    if found is None:
        return None
    name, before, now = found
    if _HASH.search(f"{before} {now}"):
        what, _, which = name.partition(".")
        what = what.removesuffix("_sha256") + (f" ({which})" if which else "")
        return f"another {what} than {other} says"
    return f"{name} {before} and {other} says {now}"


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a file, a store's record last and as numbers a token."""
    rest = {**settings}
    sizes = {"k" if name == "ids" else name: size for name, _, size in rest.pop("record", ())}
    return {**rest, **sizes}


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file (text as UTF-8), or none of it.

    What a writer of the same file left that was killed is cleared away. Two may write at once: the
    later one's content stays.
    """
    _clear_parts(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.kd-part")
    try:
        with _held(part) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _held(part: Path) -> BinaryIO:
    """A new file under a lock, which says that its writer lives."""
    while True:
        file = open(part, "xb")  # noqa: SIM115
        fcntl.flock(file, fcntl.LOCK_EX)
        if is_at(file.fileno(), part):
            return file
        file.close()  # cleared away before it was locked


def _clear_parts(path: Path) -> None:
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.kd-part"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), open(part, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def write_json(path: str | Path, everything: Any, flag: str = "--json") -> None:
    """Write the whole file of ``--json``, or none of it.

    Raises:
        InputError: it cannot be written.
    """
    with explained(Path(path), flag):
        write_atomically(Path(path), to_json(everything))
