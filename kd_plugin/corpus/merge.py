"""What K teachers said, each of its share of the sentences, becomes one corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.subset import read_sides
from ..errors import InputError
from ..files.blocks import UNSAID
from ..files.shards import Shards, subset_name
from ..files.whole import difference
from ..version import versions
from .assignment import Assignment, require_teachers, trained_on
from .derived import BLOCK_SIZE, Counts, Made, essentials, hashes, length_penalty, write_records
from .origin import origin_of
from .records import Record, corpus_lines, find_corpus, to_record

SAME = ("kind", "command", "flags", "lenpen", "search", "knnmt")  # settings of all K corpora
WORK = ("max_tokens", "block_size", "index_sha256")  # but for these


def merge_corpora(
    task: Any,
    folders: Sequence[str],
    corpora: Sequence[Path],
    output: Path,
    subset: str = "train",
    teachers: Sequence[str] = (),
    block_size: int = BLOCK_SIZE,
    seen: bool = False,
) -> str:
    """Write a corpus in which each sentence's record is that of the teacher that never saw it.

    Args:
        task: of the whole data.
        folders: the data folder that each teacher was trained on; () is what ``teachers`` say.
        corpora: of each teacher: what it said of all sentences, or of those that it never saw.
        output: folder of the corpus.
        subset: that is taught.
        teachers: their checkpoints, as a proof of ``folders``.
        block_size: as in :func:`.derived.derive`.
        seen: each sentence is taught by a teacher that was trained on it, to compare with.

    Returns:
        The file and what it holds, in a line.

    Raises:
        InputError: a teacher saw a sentence that it teaches (with ``seen``: did not see it); a
            corpus is of other sentences or dictionaries, or was made in another way than the first.
    """
    pairs = read_sides(task, task.cfg.data, subset)
    folders = trained_on(folders, teachers, len(corpora), "--corpora")
    name = subset_name(task, subset)
    inputs = [find_corpus(folder, name, any_text=True) for folder in corpora]
    named = [f"--corpora {folder}" for folder in corpora]
    _require_alike(inputs, named)
    for shards, flag in zip(inputs, named):
        if shards[0][1]["settings"]["dictionary_sha256"] != task.state.dictionary_sha256:
            raise InputError(
                f"{flag} was made with other dictionaries than those of {task.cfg.data}; cut that "
                "folder with fairseq-kd fold --folds, which keeps them"
            )
    require_teachers(teachers, [_teachers_of(essentials(shards)) for shards in inputs], named)
    turns = Assignment(task, pairs, folders, subset, seen)
    whole = [
        turns.is_whole(fold, shards[0][1]["settings"]["source_sha256"], named[fold])
        for fold, shards in enumerate(inputs)
    ]
    first = inputs[0][0][1]["settings"]
    reads = {"data": turns.source_sha256}
    reads |= {f"trained_on{n}": digest for n, digest in enumerate(turns.text_sha256, 1)}
    names = {"data": str(task.cfg.data)}
    names |= {f"trained_on{n}": folder for n, folder in enumerate(folders, 1)}
    data = origin_of(Path(task.cfg.data), [pairs])
    flags: dict[str, Any] = {"seen": True} if seen else {}
    made = Made("fold", flags, reads, names, {}, block_size, data, turns.origins)
    kind = first.get("kind", UNSAID["kind"])
    settings = {
        "format": 1, "subset": subset, "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "sentences": len(pairs), "source_sha256": turns.source_sha256,
        "dictionary_sha256": task.state.dictionary_sha256, "lenpen": length_penalty(first),
        **({} if kind == UNSAID["kind"] else {"kind": kind}),
        "folds": np.bincount(turns.fold, minlength=len(folders)).tolist(),
        "command": made.command, "flags": made.flags, "reads": reads,
        "inputs": [hashes(shards) for shards in inputs], "block_size": block_size,
        "versions": versions(), "shard": "0/1", "rows": [0, len(pairs)],
    }  # fmt: skip
    kept = [essentials(shards) for shards in inputs]
    items = _lines(inputs, turns, whole)
    return write_records(output, name, made, settings, items, _Renumbered(turns, whole), kept)


def _lines(
    inputs: Sequence[Shards], turns: Assignment, whole: Sequence[bool]
) -> Iterator[tuple[Path, bytes]]:
    """The line of each sentence, from the corpus of its fold; the others' are passed over."""
    streams = [corpus_lines(shards) for shards in inputs]
    for fold in turns.fold.tolist():
        for number, stream in enumerate(streams):
            if number == fold:
                line = next(stream)
            elif whole[number]:
                next(stream)
        yield line
    for stream in streams:
        for _ in stream:  # which also tells that lines are missing, or too many
            raise RuntimeError("a corpus has more lines than its manifest says")


class _Renumbered:
    """The record of a row of the data from a line of its fold."""

    def __init__(self, turns: Assignment, whole: Sequence[bool]):
        self.turns, self.whole = turns, whole
        self.rows = [turns.rows(fold) for fold in range(len(whole))]

    def __call__(self, row: int, item: tuple[Path, bytes]) -> tuple[Record, Counts]:
        fold = int(self.turns.fold[row])
        own = row if self.whole[fold] else int(self.turns.row[row])
        record = to_record(*item, own)
        record["id"] = row
        if "same_as" in record and not self.whole[fold]:
            record["same_as"] = int(self.rows[fold][record["same_as"]])
        return {**record, "fold": fold}, {f"fold {fold}": 1}


def _require_alike(inputs: Sequence[Shards], flags: Sequence[str]) -> None:
    """Refuse corpora of which one was made in another way than the first.

    Raises:
        InputError: it is so.
    """
    ours, *others = (_way(shards[0][1]["settings"]) for shards in inputs)
    for theirs, flag in zip(others, flags[1:]):
        if found := difference(theirs, ours, flags[0]):
            raise InputError(f"{flag} was made with {found}; make all of them with the same flags")


def _way(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How a corpus was made, but for its sentences and its teacher."""
    found = {key: settings[key] for key in SAME if key in settings}
    for key in ("search", "knnmt"):
        if key in found:
            found[key] = {k: v for k, v in found[key].items() if k not in WORK}
    return {"kind": UNSAID["kind"], **found}


def _teachers_of(made: Mapping[str, Any]) -> list[str]:
    """sha256 of the teachers of a corpus, or of those that it was made of."""
    own: list[str] = list(made["settings"].get("teacher_sha256", []))
    return own + [digest for one in made["inputs"] for digest in _teachers_of(one)]
