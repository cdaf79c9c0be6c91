"""A corpus made of others: read in order as a stream, written in the same format, chained.

Its records have the ids of its inputs'. Its manifest says which command made it with which flags,
and names by sha256 the files that were read; the manifests of the inputs are kept in it, so that
the whole chain can be told from the last corpus alone (:mod:`.history`). It is one shard, written
block by block: a kill costs at most a few blocks, and the bytes depend neither on kills nor on the
number of workers.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..files.blocks import BlockWriter
from ..files.progress import Progress
from ..files.shards import OWN, Shards, is_finished, shard_path
from ..version import versions
from .records import ENDING, Record, corpus_lines, pack, to_record, unpack
from .workers import in_order

BLOCK_SIZE = 2000  # sentences
SUM = "sum."  # counts that begin so are of the report, not of the reader
ORIGIN = ("format", "subset", "languages", "sentences", "source_sha256", "dictionary_sha256")
Counts = Mapping[str, Any]  # whole numbers, and under SUM arrays of them: all are added up
Make = Callable[[int, Any], tuple[Record, Counts]]
Report = Callable[[Counts], Mapping[str, Any]]


class Step(Protocol):
    """What a command does to each sentence."""

    def __call__(self, records: list[Record], extra: Any) -> tuple[Record, Counts]:
        """The new record of one sentence from those of all inputs, and what is counted of it.

        ``extra`` is what the :class:`Feed` had for the sentence.
        """


class Feed(Protocol):
    """What comes from beside the corpora for each sentence, in order."""

    def of(self, lines: Sequence[bytes]) -> Any:
        """The next sentence's; ``lines`` are its records, not yet read."""

    def close(self) -> None:
        """All sentences had theirs; raises InputError where more is left."""


@dataclass
class Made:
    """How a derived corpus is made, for its manifest."""

    command: str
    flags: Mapping[str, Any]  # as the command line spells them, without dashes
    reads: Mapping[str, str] = field(default_factory=dict)  # sha256 of what other flags name
    names: Mapping[str, str] = field(default_factory=dict)  # what those flags said, not compared
    settings: Mapping[str, Any] = field(default_factory=dict)  # over those of the first input
    block_size: int = BLOCK_SIZE
    data: Mapping[str, Any] | None = None  # the origin of the data folder that it was given
    folders: Sequence[Mapping[str, Any]] = ()  # those of others


def derive(
    inputs: Sequence[Shards],
    output: Path,
    name: str,
    made: Made,
    step: Step,
    feed: Feed | None = None,
    workers: int = 1,
    report: Report | None = None,
    recall: Callable[[Record], None] | None = None,
) -> str:
    """Write a corpus, or go on with it; a finished one is left alone.

    Args:
        inputs: of one subset, the same sentences each.
        output: the folder.
        name: SUBSET.SRC-TGT.
        made: what the manifest says.
        step: called in order for each sentence where there is one worker, else in any order.
        feed: what ``step`` needs beside the records.
        workers: processes.
        report: what the manifest says under ``report``, from the sums of all counts.
        recall: told every record that an earlier run wrote, in order, before the work goes on.

    Returns:
        The file and what it holds, in a line.

    Raises:
        InputError: an input is damaged, the inputs differ in their sentences, or it was begun with
            other settings.
    """
    settings = settings_of(inputs, made)
    items = _sentences(inputs, feed)
    kept = [essentials(shards) for shards in inputs]
    make = _OfLines(step)
    return write_records(output, name, made, settings, items, make, kept, workers, report, recall)


def write_records(
    output: Path,
    name: str,
    made: Made,
    settings: Mapping[str, Any],
    items: Iterator[Any],
    make: Make,
    inputs: Sequence[Mapping[str, Any]] = (),
    workers: int = 1,
    report: Report | None = None,
    recall: Callable[[Record], None] | None = None,
) -> str:
    """Write the one shard of a corpus; see :func:`derive`.

    Args:
        items: what each record is made of, in order.
        make: the record of a row from its item, and what is counted of it.
        inputs: the :func:`essentials` of the corpora that were read.
    """
    path = shard_path(output, name, 0, 1, ENDING)
    if is_finished(path, settings):
        return f"{path} is complete: nothing to do"
    size = made.block_size
    with in_order(_Block(make), workers) as mapped, BlockWriter(path, settings) as writer:
        done = len(writer.notes)
        if recall:
            for record in itertools.chain.from_iterable(map(unpack, writer.blocks())):
                recall(record)
        progress = Progress(settings["sentences"], min(done * size, settings["sentences"]))
        for content, note, sentences in mapped(_blocks(items, size, done)):
            writer.write(content, note)
            progress.add(sentences)
        progress.close()
        counts = added({}, *writer.notes)
        told = {key: value for key, value in counts.items() if not key.startswith(SUM)}
        manifest = {
            "settings": settings,
            "counts": told,
            "sha256": writer.sha256(),
            "names": dict(made.names),
            "inputs": list(inputs),
            "data": made.data,
            "folders": list(made.folders),
        }
        if report:
            manifest["report"] = report(counts)
        writer.finish(manifest)
    return f"{path}: " + ", ".join(f"{key} {value}" for key, value in sorted(told.items()))


def added(sums: dict[str, Any], *more: Counts) -> dict[str, Any]:
    """``sums``, to which each of ``more`` was added; lists become arrays."""
    for counts in more:
        for key, value in counts.items():
            number = np.asarray(value) if isinstance(value, list) else value
            sums[key] = sums[key] + number if key in sums else number
    return sums


def settings_of(inputs: Sequence[Shards], made: Made) -> dict[str, Any]:
    """What determines the corpus.

    Raises:
        InputError: the inputs are not of the same sentences and dictionaries.
    """
    first = inputs[0][0][1]["settings"] if inputs else {}
    for shards in inputs[1:]:
        theirs = shards[0][1]["settings"]
        for key in ("sentences", "source_sha256", "dictionary_sha256"):
            if theirs.get(key) != first.get(key):
                raise InputError(
                    f"{shards[0][0].parent} is of another {key} than {inputs[0][0][0].parent}; "
                    "give corpora of one data folder's subset"
                )
    origin = {key: first[key] for key in ORIGIN if key in first}
    settings = {**origin, "lenpen": length_penalty(first), **made.settings}
    return {
        **settings,
        "command": made.command,
        "flags": dict(made.flags),
        "reads": dict(made.reads),
        "inputs": [hashes(shards) for shards in inputs],
        "block_size": made.block_size,
        "versions": versions(),
        "shard": "0/1",
        "rows": [0, settings["sentences"]],
    }


def length_penalty(settings: Mapping[str, Any]) -> float:
    """By which power of its length each hypothesis's log-probability was divided."""
    return float(settings.get("search", settings).get("lenpen", 0.0))


def hashes(shards: Shards) -> list[str]:
    """The sha256 of each shard."""
    return [manifest["sha256"] for _, manifest in shards]


def essentials(shards: Shards) -> dict[str, Any]:
    """What a derived corpus keeps of an input's manifest: enough to make it again."""
    manifest = shards[0][1]
    kept = {key: value for key, value in manifest["settings"].items() if key not in OWN}
    return {
        "sha256": hashes(shards),
        "settings": kept,
        "names": manifest.get("names", {}),
        "inputs": manifest.get("inputs", []),
        "data": manifest.get("data"),
        "folders": manifest.get("folders", []),
    }


def _sentences(inputs: Sequence[Shards], feed: Feed | None) -> Iterator[Any]:
    """Each sentence's lines, one of each input, and what the feed has for it."""
    with contextlib.ExitStack() as stack:
        streams = [corpus_lines(shards) for shards in inputs]
        for stream in streams:
            stack.callback(stream.close)
        for lines in zip(*streams, strict=True):
            yield lines, feed.of([line for _, line in lines]) if feed else None
    if feed:
        feed.close()


def _blocks(items: Iterator[Any], size: int, done: int) -> Iterator[tuple[int, list[Any]]]:
    """The first row of each block that is to do, and the items of its rows."""
    for number in itertools.count():
        block = list(itertools.islice(items, size))
        if not block:
            return
        if number >= done:
            yield number * size, block


class _OfLines:
    """The record of a sentence from lines of the inputs."""

    def __init__(self, step: Step):
        self.step = step

    def __call__(self, row: int, item: Any) -> tuple[Record, Counts]:
        lines, extra = item
        return self.step([to_record(path, line, row) for path, line in lines], extra)


class _Block:
    """A block of items becomes a packed block, what is counted of it, and its size."""

    def __init__(self, make: Make):
        self.make = make

    def __call__(self, block: tuple[int, list[Any]]) -> tuple[bytes, dict[str, Any], int]:
        first, items = block
        counts: dict[str, Any] = {}
        records = []
        for row, item in enumerate(items, first):
            record, noted = self.make(row, item)
            records.append(record)
            added(counts, noted)
        note = {k: n.tolist() if isinstance(n, np.ndarray) else n for k, n in counts.items()}
        return pack(records), note, len(records)
