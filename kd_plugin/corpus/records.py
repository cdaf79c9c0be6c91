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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.shards import Shards, find_shards
from ..files.whole import sha256

Record = dict[str, Any]

ENDING = "jsonl.gz"


def pack(records: list[Record]) -> bytes:
    """A block of lines, compressed; the same bytes for the same records."""
    lines = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
    return gzip.compress("".join(lines).encode(), mtime=0)


def unpack(block: bytes) -> Iterator[Record]:
    """The records of one or several blocks."""
    for line in gzip.decompress(block).decode().split("\n")[:-1]:
        yield json.loads(line)


def find_corpus(folder: Path, name: str) -> Shards:
    """The shards of a corpus in order, each with its manifest; ``name`` is SUBSET.SRC-TGT.

    Raises:
        InputError: as :func:`find_shards`, or a shard has changed since it was written.
    """
    shards = find_shards(folder, name, ENDING, "generate")
    for path, manifest in shards:
        if sha256(path) != manifest["sha256"]:
            raise InputError(f"{path} has changed since it was written; generate it again")
    return shards


def read_corpus(shards: Shards) -> Iterator[Record]:
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
