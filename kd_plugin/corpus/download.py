"""Fetch the raw files of a data set that is public, each checked before it is kept."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..files.whole import write_atomically
from .raw import require_text, unpack


def download(address: str, files: Mapping[str, str | None], folder: Path) -> None:
    """Fetch ``address/NAME.gz`` into ``folder`` for every name that is not there yet.

    Args:
        address: web address of a folder of gzipped text files.
        files: names without ``.gz``, and the sha256 of the text of each.
        folder: made if needed; run again, it goes on.

    Raises:
        InputError: a file cannot be fetched, or is another text than the one that is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in files.items():
        path = folder / f"{name}.gz"
        if path.exists():
            continue
        try:
            with urllib.request.urlopen(f"{address}/{name}.gz", timeout=60) as answer:
                packed = answer.read()
        except OSError as error:
            raise InputError(
                f"--download: {address}/{name}.gz cannot be fetched ({error}); fetch the files by "
                "other means and give --from FOLDER"
            ) from None
        require_text(unpack(packed, path), expected, path)
        write_atomically(path, packed)
