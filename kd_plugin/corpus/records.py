"""A teacher corpus on disk: for each sentence of a subset its K best translations, in order.

A shard is a gzip file of JSON lines, ``SUBSET.SRC-TGT.shardI-of-N.jsonl.gz``, with a manifest
beside it. A line reads::

    {"id": 7, "hypotheses": [{"score": -0.41, "tokens": [5, 6, 2], "text": "a b"}, ...]}
    {"id": 8, "hypotheses": [], "reason": "empty"}

``id`` counts the subset's sentences from 0. Hypotheses come best first; ``tokens`` are ids of the
target dictionary with the end of sentence, ``text`` the same as subwords, ``score`` the search's
(log-probability divided by length ** lenpen) or null where it is not finite, ``"capped": true``
marks a translation that the length limit cut off, and ``same_as`` names an earlier sentence with
the same source. A corpus whose settings have the kind :data:`FORCED` holds no translations but text
to train on (:mod:`.forced`). Commands that make a corpus of another (:mod:`.derived`) write the
same format.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.blocks import manifest_path
from ..files.schema import COUNT, SHA256, checker, fault, loads
from ..files.shards import Shards, find_shards
from ..files.whole import sha256

Record = dict[str, Any]

ENDING = "jsonl.gz"
FORCED = "teacher-forcing"
LEVEL = 5  # of compression: 3 % larger than with 6, in half of the time
LONGEST = 1 << 26  # bytes of a line; one of 100 translations of 1,000 tokens has a hundredth
AGAIN = "copy it again, or run the command that wrote it again, which redoes it"
MANIFEST = {"settings": {"source_sha256": SHA256, "dictionary_sha256": {str: SHA256}}}
RECORD = {"id": COUNT, "hypotheses": [{"tokens": [COUNT], "text": str}]}
UNDECODED = {"reason": str}
_is_record = checker(RECORD)
_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def pack(records: list[Record]) -> bytes:
    """A block of lines, compressed; the same bytes for the same records."""
    lines = [_encoded(record) + "\n" for record in records]
    return gzip.compress("".join(lines).encode(), LEVEL, mtime=0)


def unpack(block: bytes) -> Iterator[Record]:
    """The records of one or several blocks."""
    for line in gzip.decompress(block).decode().split("\n")[:-1]:
        yield json.loads(line)


def length_power(hypothesis: Record, power: float) -> float:
    """By what a search divides a hypothesis' log-probability: a power of its length."""
    found: float = max(len(hypothesis["tokens"]), 1) ** power
    return found


def find_corpus(folder: Path, name: str, any_text: bool = False) -> Shards:
    """The shards of a corpus in order, each with its manifest; ``name`` is SUBSET.SRC-TGT.

    Args:
        any_text: whether text will do that is no translation.

    Raises:
        InputError: as :func:`find_shards`; a shard has changed since it was written; it is no
            translation.
    """
    shards = find_shards(folder, name, ENDING, _writer(folder, name))
    for path, manifest in shards:
        wrong = fault(manifest, MANIFEST)
        if wrong:
            raise InputError(f"{manifest_path(path)} is damaged ({wrong}); {AGAIN}")
        if sha256(path) != manifest["sha256"]:
            raise InputError(f"{path} has changed since it was written; {AGAIN}")
        if manifest["settings"].get("kind") == FORCED and not any_text:
            raise InputError(
                f"{folder} is no translation: it holds the teacher's word at each prefix of the "
                "references (generate --teacher-forcing), which fairseq-kd binarise and mix take "
                "as text to train on; name a corpus of translations here"
            )
    return shards


def _writer(folder: Path, name: str) -> str:
    """The command that writes the corpus, for errors; as far as its files tell."""
    for file in sorted(folder.glob(f"{name}.shard*.{ENDING}.*")):
        try:
            with open(file, "rb") as text:
                told = json.loads(text.readline() if file.suffix == ".journal" else text.read())
            settings = told["settings"]
            return str((json.loads(settings) if isinstance(settings, str) else settings)["command"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return "generate"


def read_corpus(shards: Shards) -> Iterator[Record]:
    """Every record of every shard, in the subset's order.

    Raises:
        InputError: a line is missing, too long, or no record.
    """
    for row, (path, line) in enumerate(corpus_lines(shards)):
        yield to_record(path, line, row)


def corpus_lines(shards: Shards) -> Generator[tuple[Path, bytes], None, None]:
    """The line of every record, not yet read, and the file that holds it.

    Raises:
        InputError: a line is missing or too long.
    """
    found = 0
    for path, _ in shards:
        for line in _lines(path):
            found += 1
            yield path, line
    total = shards[0][1]["settings"]["sentences"]
    if found != total:
        raise InputError(f"{shards[-1][0].parent} has {found} sentences of {total}; {AGAIN}")


def to_record(path: Path, line: bytes, row: int) -> Record:
    """The record that ``line`` of ``path`` is.

    Raises:
        InputError: it is none, or not that of sentence ``row``.
    """
    try:
        record: Record = loads(line)
        wrong = None if _is_record(record) else fault(record, RECORD)
        wrong = wrong or (None if record["hypotheses"] else fault(record, UNDECODED))
    except ValueError as error:
        wrong = str(error)
    if wrong or record["id"] != row:
        wrong = wrong or f"it is of sentence {record['id'] + 1}"
        raise InputError(
            f"{path} has no record of sentence {row + 1} where it belongs ({wrong}); {AGAIN}"
        )
    return record


def corpus_name(
    folder: Path, subset: str, source: str | None = None, target: str | None = None
) -> str:
    """SUBSET.SRC-TGT of a corpus; languages that are not given are those that it holds.

    Raises:
        InputError: it holds several pairs of languages.
    """
    pattern = f"{subset}.{source or '*'}-{target or '*'}.shard*.{ENDING}*"
    names = sorted({".".join(file.name.split(".")[:2]) for file in folder.glob(pattern)})
    if len(names) > 1:
        raise InputError(f"{folder} holds {' and '.join(names)}; say which with -s and -t")
    return names[0] if names else f"{subset}.{source or 'SRC'}-{target or 'TGT'}"


def _lines(path: Path) -> Iterator[bytes]:
    """Lines as they are unpacked: a file that unpacks to far more than its text is never held."""
    try:
        with io.BufferedReader(gzip.open(path, "rb"), 1 << 16) as file:
            while line := file.readline(LONGEST + 1):
                if len(line) > LONGEST:
                    raise InputError(f"{path} has a line of over {LONGEST} bytes; {AGAIN}")
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no whole gzip file ({error}); {AGAIN}") from None
