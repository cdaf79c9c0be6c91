"""One long file, block by block: killed at any moment and started again, its bytes are the same.

While it grows there are ``NAME.part`` with the blocks that are finished and ``NAME.journal``, whose
first line says what is being written and each further line where a block ends, its sha256, and what
the writer noted. A block counts once its journal line is whole; what stands behind the last one is
cut off at the next start. Last, the file is moved into place and ``NAME.manifest.json`` is written:
the file is complete where the manifest exists.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .output import explained, way_out
from .schema import COUNT, SHA256, Shape, parse, read_json
from .whole import difference, to_json, write_atomically

BEGUN = {"settings": str}  # the first line of a journal
# settings of files that are older than the setting, or are like most
UNSAID = {"engine": "fairseq", "kind": "translations"}


def manifest_path(path: Path) -> Path:
    """Where the manifest of a finished file is."""
    return path.with_name(path.name + ".manifest.json")


def read_manifest(path: Path, shape: Shape = dict) -> dict[str, Any] | None:
    """The manifest of a finished file; None where the file is not finished.

    Raises:
        InputError: it is damaged, or not of ``shape``.
    """
    manifest = manifest_path(path)
    if not (manifest.exists() and path.exists()):
        return None
    way_out = f"copy it again, or run the command that wrote {path.name} again, which redoes it"
    found: dict[str, Any] = read_json(manifest, shape, way_out)
    return found


def begun_with(path: Path) -> dict[str, Any] | None:
    """The settings with which a file was finished, or begun; None where nothing tells them."""
    try:
        if manifest := read_manifest(path, {"settings": dict}):
            return dict(manifest["settings"])
        with open(_beside(path, "journal"), "rb") as journal:
            begun: dict[str, Any] = parse(parse(journal.readline(), BEGUN)["settings"], dict)
            return begun
    except (OSError, ValueError):  # whoever opens it for writing says what is wrong
        return None


class BlockWriter:
    """Continue, or begin, to write ``path``; use as a context.

    ``notes`` are those of the blocks that are finished already. A second writer is refused, and so
    is one with other ``settings`` than the file was begun with.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], note: Shape = dict):
        """Open the file for blocks that ``settings`` (JSON) determine.

        ``note`` is the shape of what is noted of a block; see :mod:`.schema`.

        Raises:
            InputError: another process writes it, or it was begun with other settings.
        """
        self.path = path
        self._line = {"end": COUNT, "sha256": SHA256, "note": note}
        self.notes: list[Any] = []
        self._ends: list[int] = [0]
        with explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._journal = open(_beside(path, "journal"), "a+b", buffering=0)  # noqa: SIM115
            self._lock()
            self._require_unfinished()
            self._take_back()
            self._part = open(_beside(path, "part"), "a+b", buffering=0)  # noqa: SIM115
        self._recover(to_json(settings))

    def write(self, content: bytes, note: Any) -> None:
        """Add a block.

        Raises:
            InputError: the disk does not take it; what was finished before is safe.
        """
        try:
            _append(self._part, content)
            end = self._ends[-1] + len(content)
            self._add_line({"end": end, "sha256": _hash(content), "note": note})
        except OSError as error:
            raise InputError(
                f"{self.path}: {error.strerror}; {len(self.notes)} blocks are safe: "
                f"{way_out(error)}"
            ) from error
        self.notes.append(note)
        self._ends.append(end)

    def blocks(self) -> Iterator[bytes]:
        """The finished blocks."""
        for start, end in zip(self._ends, self._ends[1:]):
            self._part.seek(start)
            yield self._part.read(end - start)

    def sha256(self) -> str:
        """The hash of all blocks, which are read again."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Move the file into place and write its manifest; nothing of the work in between stays."""
        os.replace(_beside(self.path, "part"), self.path)
        write_atomically(manifest_path(self.path), to_json(manifest))
        _beside(self.path, "journal").unlink()

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._part.close()
        self._journal.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{self.path} is being written by another process; wait for it, or give another "
                "--output"
            ) from None

    def _require_unfinished(self) -> None:
        """Look again under the lock: another process may have finished the file meanwhile."""
        if manifest_path(self.path).exists() and self.path.exists():
            _beside(self.path, "journal").unlink()
            raise InputError(
                f"{self.path} was finished by another process just now; run the same command again "
                "to see whether it is what you want"
            )

    def _take_back(self) -> None:
        """A file without its manifest was moved into place just before the writer was killed."""
        if not self.path.exists() or manifest_path(self.path).exists():
            return
        if self._journal.tell() == 0:  # opened for appending: its end
            raise InputError(
                f"{self.path} exists and has no manifest that says what it is; move it away and "
                "run the same command again, or give another --output"
            )
        os.replace(self.path, _beside(self.path, "part"))

    def _recover(self, settings: str) -> None:
        self._journal.seek(0)
        lines = self._journal.read().split(b"\n")[:-1]  # a line without its end does not count
        kept = 0
        for number, line in enumerate(lines):
            if number == 0:
                self._require_same(line, settings)
            elif not self._recover_block(line):
                break
            kept += len(line) + 1
        self._journal.truncate(kept)
        self._part.truncate(self._ends[-1])
        if not kept:
            self._add_line({"settings": settings})

    def _require_same(self, line: bytes, settings: str) -> None:
        journal = _beside(self.path, "journal")
        try:
            begun = parse(line, BEGUN)["settings"]
            theirs, ours = parse(begun, dict), json.loads(settings)
        except ValueError as error:
            raise InputError(
                f"{journal} is damaged ({error}); remove it to begin {self.path.name} anew"
            ) from None
        if found := difference({**UNSAID, **theirs}, {**UNSAID, **ours}):
            raise InputError(
                f"{self.path} was begun with {found}; repeat the first command, give another "
                f"--output, or remove {journal} to begin anew"
            )

    def _recover_block(self, line: bytes) -> bool:
        """Whether the line and its block are whole; what follows is done again otherwise."""
        try:
            told = parse(line, self._line)
        except ValueError:
            return False
        start, size = self._ends[-1], os.fstat(self._part.fileno()).st_size
        self._part.seek(start)
        if not start <= told["end"] <= size:
            return False
        if _hash(self._part.read(told["end"] - start)) != told["sha256"]:
            return False
        self.notes.append(told["note"])
        self._ends.append(told["end"])
        return True

    def _add_line(self, line: Mapping[str, Any]) -> None:
        _append(self._journal, json.dumps(line).encode() + b"\n")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def _append(file: io.RawIOBase, content: bytes) -> None:
    """Write all of it to the disk; no buffer is left that closing could fail to write."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
