"""What K teachers believe, each of its share of the sentences, becomes one store."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.subset import fingerprint
from ..errors import InputError
from ..files.shards import is_finished, shard_path, subset_name
from ..stores.store import ENDING, Done, Store, entries_of, write_store
from ..teachers.cache import read_pairs
from ..teachers.stored import require_dictionaries
from ..version import versions
from .assignment import Assignment, require_teachers, trained_on
from .derived import BLOCK_SIZE

# Settings that the stores share with the one that they become.
KEPT = (
    "format", "kind", "languages", "dictionary_sha256", "vocabulary", "special_ids", "dtype",
    "precision", "record", "tail", "too_long",
)  # fmt: skip


def merge_stores(
    task: Any,
    folders: Sequence[str],
    stores: Sequence[Path],
    output: Path,
    subset: str = "train",
    teachers: Sequence[str] = (),
    block_size: int = BLOCK_SIZE,
    seen: bool = False,
) -> str:
    """Write a store with each sentence's records from the teacher that never saw it.

    Its ``teacher_sha256`` are all teachers', as those of a store of their ensemble; ``folds`` in
    its settings says the rest.

    Args:
        stores: folders of ``fairseq-kd cache``, of each teacher; else as :func:`merge_corpora`.

    Returns:
        The file, in a line.

    Raises:
        InputError: as :func:`merge_corpora`; a store's records are of one model alone.
    """
    pairs = read_pairs(task, subset)
    folders = trained_on(folders, teachers, len(stores), "--stores")
    name = subset_name(task, subset)
    opened = [Store(folder, name) for folder in stores]
    flags = [f"--stores {folder}" for folder in stores]
    for store, flag in zip(opened, flags):
        require_dictionaries(store, task, flag)
        if store.settings["kind"] != "beliefs":
            raise InputError(
                f"{flag} is of kind {store.settings['kind']}, which only its own model can read; "
                "give stores of fairseq-kd cache without --features"
            )
        for key in ("record", "tail"):
            if (theirs := store.settings[key]) != (ours := opened[0].settings[key]):
                raise InputError(
                    f"{flag} has {key} {theirs} and {flags[0]} has {ours}; write all of them with "
                    "the same flags"
                )
    whose = [list(store.settings["teacher_sha256"]) for store in opened]
    require_teachers(teachers, whose, flags)
    turns = Assignment(task, pairs, folders, subset, seen)
    whole = [
        turns.is_whole(fold, store.settings["source_sha256"], flags[fold])
        for fold, store in enumerate(opened)
    ]
    sizes = np.bincount(turns.fold, minlength=len(folders)).tolist()
    settings = {
        **{key: opened[0].settings[key] for key in KEPT if key in opened[0].settings},
        "subset": subset, "sentences": len(pairs), "source_sha256": turns.source_sha256,
        "target_sha256": fingerprint(pairs.tgt, pairs.tgt_sizes),
        "teacher_sha256": list(itertools.chain(*whose)),
        "folds": {
            "sentences": sizes, **({"seen": True} if seen else {}),
            "teacher_sha256": whose, "trained_on_sha256": turns.text_sha256,
            "stores": [[manifest["sha256"] for _, manifest in store.shards] for store in opened],
        },
        "block_size": block_size, "versions": versions(torch), "shard": "0/1",
        "rows": [0, len(pairs)],
    }  # fmt: skip
    path = shard_path(output, name, 0, 1, ENDING)
    if is_finished(path, settings):
        return f"{path} is complete: nothing to do"
    read = _Records(pairs, opened, turns, whole, flags)
    write_store(path, settings, entries_of(pairs), block_size, read)
    return f"{path}: " + ", ".join(f"fold {n} {k}" for n, k in enumerate(sizes))


class _Records:
    """The records of each sentence, read from the store of its fold; see ``write_store``."""

    def __init__(
        self, pairs: Any, stores: Sequence[Store], turns: Assignment, whole: Sequence[bool],
        flags: Sequence[str],
    ):  # fmt: skip
        self.pairs, self.stores, self.turns = pairs, stores, turns
        self.whole, self.flags = whole, flags

    def __call__(self, rows: range, done: Done) -> dict[int, NDArray[Any]]:
        found = {}
        for row in rows:
            fold = int(self.turns.fold[row])
            store = self.stores[fold]
            own = row if self.whole[fold] else int(self.turns.row[row])
            if store.index["tokens"][own] == 0:
                continue  # the teacher had no positions for it
            if not store.is_text(own, self.pairs.src[row], self.pairs.tgt[row]):
                raise InputError(
                    f"{self.flags[fold]} was written from other targets: line {own + 1} of "
                    f"{store.name} is not line {row + 1} of {self.turns.subset}; cut the data "
                    "and write the stores again"
                )
            found[row] = store.read(own)
            done(1, len(found[row]))
        return found
