"""Work that is cut into shards: which rows, which file, and whether all of them are there."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .blocks import UNSAID, manifest_path, read_manifest
from .output import explained
from .schema import COUNT, SHA256
from .whole import difference, sha256

OWN = ("shard", "rows")  # settings in which the shards of one command differ
HASHED = {"sha256": "", "index_sha256": ".index"}  # of which file a manifest has the hash
MANIFEST = {
    "settings": {"shard": re.compile(r"\d{1,9}/\d{1,9}"), "rows": [COUNT], "sentences": COUNT},
    "sha256": SHA256,
}
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
    """Whether this command has finished ``path``, and its bytes are still those that it wrote.

    They are read once (a gigabyte takes one to three seconds). A damaged file is moved to
    ``NAME.damaged``, which is said, so that the command writes it again.

    Raises:
        InputError: it is finished, by a command with other settings.
    """
    try:
        manifest = read_manifest(path, MANIFEST)
        if manifest is None:
            return False
        made = {**UNSAID, **manifest["settings"]}
        asked = {name: made.get(name) for name in settings}
        if found := difference(asked, settings):
            raise OtherSettingsError(
                f"{path} is complete and was made with {found}: give another --output"
            )
        damage = damage_of(path, manifest)
    except OtherSettingsError:
        raise
    except InputError as error:
        damage = str(error).partition(";")[0]
    if damage is None:
        return True
    aside = path.with_name(path.name + ".damaged")
    print(f"{damage}: {path.name} is moved to {aside.name} and written again", file=sys.stderr)
    with explained(path):
        path.replace(aside)
        manifest_path(path).unlink()
    return False


class OtherSettingsError(InputError):
    """A finished file that another command wrote."""


def damage_of(path: Path, manifest: Mapping[str, Any]) -> str | None:
    """Which of a shard's files is not what the manifest says; None where all are."""
    for name, ending in HASHED.items():
        file = path.with_name(path.name + ending)
        if name in manifest and not (file.is_file() and sha256(file) == manifest[name]):
            return f"{file} is not what its manifest says (sha256)"
    return None


def find_shards(folder: Path, name: str, ending: str, command: str) -> Shards:
    """The shards of one piece of work in order, each with its manifest.

    Args:
        folder, name, ending: as in :func:`shard_path`.
        command: the command of ``fairseq-kd`` that writes them, for errors.

    Raises:
        InputError: there is none, one is missing, unfinished or has a damaged manifest, or they
            were not made by the same command.
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
        manifest = read_manifest(path, MANIFEST)
        if manifest is None:
            part = f" --shard {shard}/{shards}" if shards > 1 else ""
            again = f"run fairseq-kd {command}{part} again"
            if path.exists() and not path.with_name(path.name + ".journal").exists():
                raise InputError(
                    f"{path} is not finished: {manifest_path(path).name} is missing; copy it "
                    f"again, or move {path.name} away and {again}"
                )
            raise InputError(f"{path} is not finished; {again}")
        if manifest["settings"]["shard"] != f"{shard}/{shards}":
            raise InputError(
                f"{path} holds shard {manifest['settings']['shard']} by its manifest; give the "
                f"files their names back, or run fairseq-kd {command} again"
            )
        found_shards.append((path, manifest))
    _require_one_command(found_shards, command)
    _require_all_rows(found_shards, command)
    return found_shards


def _require_one_command(shards: Shards, command: str) -> None:
    (first, ours), *others = shards
    for path, theirs in others:
        if found := difference(_common(theirs), _common(ours), first.name):
            raise InputError(
                f"{path} was made with {found}; run fairseq-kd {command} with the same flags for "
                "all shards"
            )


def _common(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all shards of a piece of work share."""
    settings = {**UNSAID, **manifest["settings"]}
    return {key: value for key, value in settings.items() if key not in OWN}


def _require_all_rows(shards: Shards, command: str) -> None:
    ends = [0]
    for path, manifest in shards:
        rows = manifest["settings"]["rows"]
        if len(rows) != 2 or rows[0] != ends[-1] or rows[1] < rows[0]:
            raise InputError(
                f"{manifest_path(path)} is damaged (rows {rows} where {ends[-1]} is next); copy it "
                f"again, or run the same fairseq-kd {command} again, which redoes it"
            )
        ends.append(rows[1])
    sentences = shards[0][1]["settings"]["sentences"]
    if ends[-1] != sentences:
        raise InputError(
            f"{shards[-1][0].parent} has {ends[-1]} sentences of {sentences} by its manifests; "
            f"copy it again, or run fairseq-kd {command} into a new folder"
        )


def is_complete(folder: Path, name: str, ending: str) -> bool:
    """Whether all shards of ``name`` are finished."""
    counts = _counts(folder, name, ending)
    files = ((shard, shards) for shards in counts for shard in range(shards))
    paths = (shard_path(folder, name, shard, shards, ending) for shard, shards in files)
    return bool(counts) and all(read_manifest(path) is not None for path in paths)


def _counts(folder: Path, name: str, ending: str) -> set[int]:
    """Into how many shards work on ``name`` was cut; more than one number is a muddle."""
    pattern = re.compile(
        rf"{re.escape(name)}\.shard\d+-of-(\d+)\.{re.escape(ending)}(?:\.journal)?"
    )
    return {int(m[1]) for file in folder.glob("*") if (m := pattern.fullmatch(file.name))}


def is_begun(folder: Path, name: str) -> bool:
    """Whether anybody began to write shards of ``name``."""
    return any(folder.glob(f"{name}.shard*"))
