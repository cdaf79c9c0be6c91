"""Work that is cut into shards: which rows, which file, and whether all of them are there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .blocks import read_manifest

OWN = ("shard", "rows")  # settings in which the shards of one command differ
Shards = list[tuple[Path, dict[str, Any]]]


def subset_name(task: Any, subset: str) -> str:
    """SUBSET.SRC-TGT, with which the files of a subset begin."""
    return f"{subset}.{task.cfg.source_lang}-{task.cfg.target_lang}"


def shard_path(folder: Path, name: str, shard: int, shards: int, ending: str) -> Path:
    """The file of one shard; ``name`` is SUBSET.SRC-TGT."""
    return folder / f"{name}.shard{shard}-of-{shards}.{ending}"


def parse_shard(value: str) -> tuple[int, int]:
    """The I and N of ``--shard I/N``.

    Raises:
        InputError: it is no such thing.
    """
    shard, _, shards = value.partition("/")
    if not (shard.isdecimal() and shards.isdecimal() and int(shard) < int(shards)):
        raise InputError(f"--shard {value} is no part; give I/N with I from 0 to N-1, as 0/4")
    return int(shard), int(shards)


def shard_rows(sentences: int, shard: int, shards: int) -> range:
    """The sentences of one shard; those of all shards are all sentences, each once."""
    return range(sentences * shard // shards, sentences * (shard + 1) // shards)


def is_finished(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether this command has finished ``path``.

    Raises:
        InputError: it is finished, by a command with other settings.
    """
    manifest = read_manifest(path)
    if manifest is None:
        return False
    for name, value in settings.items():
        if manifest["settings"].get(name) != value:
            raise InputError(
                f"{path} is complete and was made with {name} {manifest['settings'].get(name)}; "
                f"this command says {value}: give another --output"
            )
    return True


def find_shards(folder: Path, name: str, ending: str, command: str) -> Shards:
    """The shards of one piece of work in order, each with its manifest.

    Args:
        folder, name, ending: as in :func:`shard_path`.
        command: the command of ``fairseq-kd`` that writes them, for errors.

    Raises:
        InputError: there is none, one is missing or unfinished, or they were not made by the same
            command.
    """
    counts = _counts(folder, name, ending)
    if len(counts) != 1:
        found = f"those of {sorted(counts)} shards side by side" if counts else "none"
        raise InputError(
            f"{folder} should hold one complete set of shards of {name} and holds {found}; name "
            f"the --output of fairseq-kd {command}"
        )
    (shards,) = counts
    found_shards = []
    for shard in range(shards):
        path = shard_path(folder, name, shard, shards, ending)
        manifest = read_manifest(path)
        if manifest is None:
            raise InputError(
                f"{path} is not finished; run fairseq-kd {command} --shard {shard}/{shards} again"
            )
        if manifest["settings"]["shard"] != f"{shard}/{shards}":
            raise InputError(
                f"{path} holds shard {manifest['settings']['shard']} by its manifest; give the "
                f"files their names back, or run fairseq-kd {command} again"
            )
        found_shards.append((path, manifest))
    _require_one_command(found_shards, command)
    return found_shards


def _require_one_command(shards: Shards, command: str) -> None:
    first = {key: value for key, value in shards[0][1]["settings"].items() if key not in OWN}
    for path, manifest in shards[1:]:
        for key, value in first.items():
            if manifest["settings"][key] != value:
                raise InputError(
                    f"{path} was made with another {key} than {shards[0][0].name}: "
                    f"{manifest['settings'][key]} and {value}; run fairseq-kd {command} with the "
                    "same flags for all shards"
                )


def is_complete(folder: Path, name: str, ending: str) -> bool:
    """Whether all shards of ``name`` are finished."""
    counts = _counts(folder, name, ending)
    files = ((shard, shards) for shards in counts for shard in range(shards))
    paths = [shard_path(folder, name, shard, shards, ending) for shard, shards in files]
    return bool(paths) and all(read_manifest(path) is not None for path in paths)


def _counts(folder: Path, name: str, ending: str) -> set[int]:
    """Into how many shards work on ``name`` was cut; more than one number is a muddle."""
    pattern = re.compile(
        rf"{re.escape(name)}\.shard\d+-of-(\d+)\.{re.escape(ending)}(?:\.journal)?"
    )
    return {int(m[1]) for file in folder.glob("*") if (m := pattern.fullmatch(file.name))}


def is_begun(folder: Path, name: str) -> bool:
    """Whether anybody began to write shards of ``name``."""
    return any(folder.glob(f"{name}.shard*"))
