"""Where a command writes: beside, under a lock, and into place when it is whole.

A path that exists is never touched: it may be somebody's work. Scratch names begin with a dot and
end in ``.kd-part``: no other program makes such, so whoever holds the lock may clear them away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def new_folder(path: Path, flag: str = "--output") -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when the context ends without an error.

    Raises:
        InputError: ``path`` exists, another process is making it, or it cannot be written.
    """
    with _place(path, flag) as scratch:
        shutil.rmtree(scratch, ignore_errors=True)  # of a command that was killed
        scratch.mkdir()
        try:
            yield scratch
            os.rename(scratch, path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def new_file(path: Path, flag: str = "--output", replace: bool = False) -> Iterator[Path]:
    """A file to write, which becomes ``path`` when the context ends without an error.

    Args:
        path: of the file.
        flag: what named it, for errors.
        replace: whether a file that is there may be replaced, because it was made here before.

    Raises:
        InputError: ``path`` exists (a folder in any case), another process is making it, or it
            cannot be written.
    """
    with _place(path, flag, replace) as scratch:
        try:
            yield scratch
            with open(scratch, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def _place(path: Path, flag: str, replace: bool = False) -> Iterator[Path]:
    with explained(path, flag):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path, flag):
            _require_free(path, flag, replace)
            yield path.with_name(f".{path.name}.kd-part")


def _require_free(path: Path, flag: str, replace: bool) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(f"{flag} {path} is a link to nothing; remove it, or give another")
    if path.exists() and not (replace and path.is_file()):
        raise InputError(f"{flag} {path} exists; give another, or remove it")


@contextlib.contextmanager
def _lock(path: Path, flag: str) -> Iterator[None]:
    beside = path.with_name(f".{path.name}.kd-lock")
    while True:
        lock = open(beside, "ab")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InputError(
                f"{flag} {path} is being written by another process; wait for it, or give another"
            ) from None
        if is_at(lock.fileno(), beside):
            break
        lock.close()  # whoever held it before has just removed it
    try:
        yield
    finally:
        beside.unlink(missing_ok=True)
        lock.close()


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that ``path`` names now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def explained(path: Path, flag: str = "--output") -> Iterator[None]:
    """Make one line of what the system says about writing ``path``.

    Raises:
        InputError: with what to do.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{flag} {path} cannot be written: {reason(error)}") from error


def reason(error: OSError) -> str:
    """What the system says, the file that it says it of, and the way out."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}; {way_out(error)}"


def way_out(error: OSError) -> str:
    """What to do about a file that cannot be written."""
    if error.errno in NO_ROOM:
        return "make room and run the same command again"
    return "give another place, or make this one readable and writable"
