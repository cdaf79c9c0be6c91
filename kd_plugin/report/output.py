"""Results as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.whole import to_json, write_atomically


def write_json(path: str | Path, everything: Any) -> None:
    """Write the whole file of ``--json``, or none of it.

    Raises:
        InputError: it cannot be written.
    """
    try:
        write_atomically(Path(path), to_json(everything))
    except OSError as error:
        raise InputError(
            f"--json {path} cannot be written ({error.strerror}); give a file in an existing folder"
        ) from None
