"""What a data folder was made of: ``history.json`` beside its files, which names all by hash.

A step of a chain is what a corpus's manifest keeps (:func:`.derived.essentials`) or, for a folder,
this: the command and its flags, the data folder that it was given, the corpora and folders that it
read, and the sha256 of each file of the subset that it wrote. So the whole chain can be told from
the last folder alone (:mod:`.history`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.subset import fingerprint
from ..files.schema import COUNT, SHA256, read_json
from ..files.whole import sha256, to_json, write_atomically

NAME = "history.json"
SHAPE = {
    "command": str,
    "flags": dict,
    "reads": {str: SHA256},
    "names": {str: str},
    "data": (None, dict),
    "inputs": [dict],
    "pairs": COUNT,
    "files": {str: SHA256},
    "versions": {str: str},
}
Step = dict[str, Any]


def step_of(folder: Path) -> Step | None:
    """How a data folder was made; None where no command of ours tells.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    step: Step = read_json(path, SHAPE, "copy the folder again, or make it again")
    return step


def origin_of(folder: Path, sets: Sequence[Any]) -> Step:
    """What a step keeps of a data folder that it read.

    Args:
        folder: of the data.
        sets: the parts of the subset that were read.
    """
    sides = {"sources_sha256": [fingerprint(one.src, one.src_sizes) for one in sets]}
    if all(one.tgt is not None for one in sets):
        sides["targets_sha256"] = [fingerprint(one.tgt, one.tgt_sizes) for one in sets]
    return {"folder": str(folder), **sides, "history": step_of(folder)}


def write_step(folder: Path, stem: str, step: Mapping[str, Any]) -> None:
    """Write it, with the hashes of the files whose names begin with ``stem``."""
    files = {path.name: sha256(path) for path in sorted(folder.glob(f"{stem}.*.bin"))}
    write_atomically(folder / NAME, to_json({**step, "files": files}))
