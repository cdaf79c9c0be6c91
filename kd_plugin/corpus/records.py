"""A teacher corpus on disk: for each sentence of a subset its K best translations, in order.

A shard is a gzip file of JSON lines, ``SUBSET.SRC-TGT.shardI-of-N.jsonl.gz``, with a manifest
beside it. A line reads::

    {"id": 7, "hypotheses": [{"score": -0.41, "tokens": [5, 6, 2], "text": "a b"}, ...]}
    {"id": 8, "hypotheses": [], "reason": "empty"}

``id`` counts the subset's sentences from 0. Hypotheses come best first; ``tokens`` are ids of the
target dictionary with the end of sentence, ``text`` the same as subwords, ``score`` the search's
(log-probability divided by length ** lenpen) or null where it is not finite, ``"capped": true``
marks a translation that the length limit cut off, and ``same_as`` names an earlier sentence with
the same source.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..stores.blocks import read_manifest
from ..stores.files import sha256

Record = dict[str, Any]


def shard_path(folder: Path, name: str, shard: int, shards: int) -> Path:
    """The file of one shard; ``name`` is SUBSET.SRC-TGT."""
    return folder / f"{name}.shard{shard}-of-{shards}.jsonl.gz"


def pack(records: list[Record]) -> bytes:
    """A block of lines, compressed; the same bytes for the same records."""
    lines = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
    return gzip.compress("".join(lines).encode(), mtime=0)


def unpack(block: bytes) -> Iterator[Record]:
    """The records of one or several blocks."""
    for line in gzip.decompress(block).decode().split("\n")[:-1]:
        yield json.loads(line)


def find_shards(folder: Path, name: str) -> list[tuple[Path, dict[str, Any]]]:
    """The shards of a corpus in order, each with its manifest.

    Raises:
        InputError: there is none, one is missing, unfinished or changed since it was written, or
            they were not made by the same command.
    """
    pattern = re.compile(re.escape(name) + r"\.shard\d+-of-(\d+)\.jsonl\.gz(?:\.journal)?")
    counts = {int(m[1]) for file in folder.glob("*") if (m := pattern.fullmatch(file.name))}
    if len(counts) != 1:
        found = f"those of {sorted(counts)} shards side by side" if counts else "none"
        raise InputError(
            f"{folder} should hold one teacher corpus of {name} and holds {found}; name the "
            "--output of fairseq-kd generate"
        )
    (shards,) = counts
    found_shards = []
    for shard in range(shards):
        path = shard_path(folder, name, shard, shards)
        manifest = read_manifest(path)
        if manifest is None or not path.exists():
            raise InputError(
                f"{path} is not finished; run fairseq-kd generate --shard {shard}/{shards} again"
            )
        if sha256(path) != manifest["sha256"]:
            raise InputError(f"{path} has changed since it was written; generate it again")
        found_shards.append((path, manifest))
    _require_one_command(found_shards)
    return found_shards


def _require_one_command(shards: list[tuple[Path, dict[str, Any]]]) -> None:
    own = {"shard", "rows"}
    first = {key: value for key, value in shards[0][1]["settings"].items() if key not in own}
    for path, manifest in shards[1:]:
        for key, value in first.items():
            if manifest["settings"][key] != value:
                raise InputError(
                    f"{path} was made with another {key} than {shards[0][0].name}: "
                    f"{manifest['settings'][key]} and {value}; generate all shards with one command"
                )


def read_corpus(shards: list[tuple[Path, dict[str, Any]]]) -> Iterator[Record]:
    """Every record of every shard, in the subset's order.

    Raises:
        InputError: a line is missing.
    """
    expected = 0
    for path, _ in shards:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                record = json.loads(line)
                if record["id"] != expected:
                    raise InputError(
                        f"{path} has sentence {record['id']} where {expected} belongs; "
                        "generate it again"
                    )
                expected += 1
                yield record
    total = shards[0][1]["settings"]["sentences"]
    if expected != total:
        raise InputError(
            f"{shards[-1][0].parent} has {expected} sentences of {total}; generate it again"
        )
