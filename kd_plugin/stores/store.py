"""A store on disk: written block by block, read sentence by sentence; see docs/stores.md.

``NAME.shardI-of-N.store`` holds the records of :mod:`.layout`, ``....store.index`` an entry of each
sentence (its tokens, a fingerprint of its text, a checksum of its records), the manifest the rest.
Addressed by sentence and position, a store does not know of batches, seeds or ranks.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.blocks import BlockWriter, manifest_path
from ..files.progress import Progress
from ..files.schema import COUNT
from ..files.shards import find_shards
from ..files.whole import write_atomically
from .layout import FORMAT, INDEX, checksum, fault_of, fingerprint, record_type

ENDING = "store"
NOTE = {"tokens": COUNT, "left_out": [COUNT]}  # of a block
Done = Callable[[int, int], None]  # so many sentences and tokens more
Compute = Callable[[range, Done], Mapping[int, NDArray[Any]]]
Entries = Callable[[int], tuple[int, int]]  # of a sentence: its tokens, a fingerprint of its text


def index_path(path: Path) -> Path:
    """Where the sentences' entries of a shard are."""
    return path.with_name(path.name + ".index")


def write_store(
    path: Path, settings: Mapping[str, Any], entries: Entries, block_size: int, compute: Compute
) -> None:
    """Write one shard, or go on with it.

    Args:
        path: of the shard.
        settings: everything that determines its bytes; ``rows`` are its first sentence and the one
            behind its last, ``record`` the fields of a record.
        entries: what the index says of a sentence, see :func:`entries_of`.
        block_size: sentences in a block.
        compute: gives the records [tokens] of each of some sentences; one that it leaves out will
            have none. It tells its second argument how many sentences and tokens it has done.

    Raises:
        InputError: another process writes it, it was begun with other settings; no room.
    """
    first, last = settings["rows"]
    with BlockWriter(path, settings, NOTE) as writer:
        starts = range(first, last, block_size)[len(writer.notes) :]
        progress = Progress(last - first, min(len(writer.notes) * block_size, last - first))
        for start in starts:
            rows = range(start, min(start + block_size, last))
            found = compute(rows, progress.add)
            kept = [found[row] for row in rows if row in found]
            content = b"".join(records.tobytes() for records in kept)
            left_out = [row for row in rows if row not in found]
            writer.write(content, {"tokens": sum(map(len, kept)), "left_out": left_out})
            progress.add(len(left_out))
        progress.close()
        _finish(writer, settings, entries)


def entries_of(pairs: Any) -> Entries:
    """The entries of the sentences of a ``LanguagePairDataset``."""

    def entry(row: int) -> tuple[int, int]:
        target = pairs.tgt[row]
        return len(target), fingerprint(pairs.src[row], target)

    return entry


def _finish(writer: BlockWriter, settings: Mapping[str, Any], entries: Entries) -> None:
    record = record_type(settings["record"])
    first, last = settings["rows"]
    index = np.zeros(last - first, INDEX)
    left_out = {row for note in writer.notes for row in note["left_out"]}
    digest = hashlib.sha256()
    rows = iter(range(first, last))
    for block in writer.blocks():
        digest.update(block)
        records, start = np.frombuffer(block, record) if block else np.empty(0, record), 0
        while start < len(records):
            row = next(row for row in rows if row not in left_out)
            tokens, text = entries(row)
            index[row - first] = (tokens, text, checksum(records[start : start + tokens]))
            start += tokens
    write_atomically(index_path(writer.path), index.tobytes())
    writer.finish(
        {
            "settings": settings,
            "tokens": int(index["tokens"].sum(dtype=np.int64)),
            "left_out": len(left_out),
            "sha256": digest.hexdigest(),
            "index_sha256": hashlib.sha256(index.tobytes()).hexdigest(),
        }
    )


class Store:
    """The records of a subset's sentences; safe to hand to loader workers."""

    def __init__(self, folder: Path, name: str, command: str = "cache"):
        """Open all shards of ``name``, SUBSET.SRC-TGT; ``command`` is what writes them, for errors.

        Raises:
            InputError: one is missing, unfinished, truncated, or of another format.
        """
        self.shards = find_shards(folder, name, ENDING, command)
        self.folder, self.name = folder, name
        self.settings: dict[str, Any] = self.shards[0][1]["settings"]
        if self.settings.get("format") != FORMAT:
            raise InputError(
                f"{folder} has format {self.settings.get('format')} and this version reads "
                f"{FORMAT}; write it again with fairseq-kd {command}, into a new folder"
            )
        self.again = f"copy it again, or run the same fairseq-kd {command} again, which redoes it"
        for path, manifest in self.shards:
            wrong = fault_of(manifest)
            if wrong:
                raise InputError(f"{manifest_path(path)} is damaged ({wrong}); {self.again}")
        if self.settings["kind"] == "neighbours":
            self.again = self.again.replace(command, "neighbours")
        self.record = record_type(self.settings["record"])
        self.index = np.concatenate([self._read_index(*shard) for shard in self.shards])  # [S]
        tokens = np.concatenate([[0], self.index["tokens"].astype(np.int64).cumsum()])
        self.starts: NDArray[np.int64] = tokens  # [S + 1]: of each sentence's first record
        self.first_rows = [manifest["settings"]["rows"][0] for _, manifest in self.shards]

    def __len__(self) -> int:
        """Sentences, those without records included."""
        return len(self.index)

    @property
    def tokens(self) -> int:
        """Records of all shards."""
        return int(self.starts[-1])

    def _read_index(self, path: Path, manifest: Mapping[str, Any]) -> NDArray[Any]:
        first, last = manifest["settings"]["rows"]
        size = path.stat().st_size
        expected = manifest["tokens"] * self.record.itemsize
        if size != expected:
            raise InputError(
                f"{path} has {size} bytes and its manifest says {expected}; {self.again}"
            )
        beside = index_path(path)
        content = beside.read_bytes() if beside.is_file() else b""
        if hashlib.sha256(content).hexdigest() != manifest["index_sha256"]:
            raise InputError(f"{beside} is not what its manifest says; {self.again}")
        index = np.frombuffer(content[: len(content) // INDEX.itemsize * INDEX.itemsize], INDEX)
        if len(index) != last - first or index["tokens"].sum(dtype=np.int64) != manifest["tokens"]:
            raise InputError(f"{beside} is of other sentences than its manifest; {self.again}")
        return index

    @functools.cached_property
    def maps(self) -> list[NDArray[Any]]:
        """The records of each shard [tokens], mapped into memory."""
        return [
            np.memmap(path, self.record, mode="r")
            if manifest["tokens"]
            else np.empty(0, self.record)
            for path, manifest in self.shards
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "maps"}

    def read(self, row: int) -> NDArray[Any]:
        """The records of sentence ``row`` [tokens].

        Raises:
            InputError: they have changed since they were written.
        """
        shard = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        start, stop = self.starts[row : row + 2] - self.starts[self.first_rows[shard]]
        records: NDArray[Any] = self.maps[shard][start:stop]
        if checksum(records) != self.index["records"][row]:
            raise InputError(
                f"{self.shards[shard][0]} is damaged at sentence {row + 1}; {self.again}"
            )
        return records

    def is_text(self, row: int, source: Any, target: Any) -> bool:
        """Whether sentence ``row`` was these token ids when the store was written."""
        return fingerprint(source, target) == int(self.index["text"][row])
