"""How likely references are, on the scale of a corpus's scores: from a store, or from a file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.subset import fingerprint, fingerprint_of_sources
from ..errors import InputError
from ..files.shards import Shards
from ..stores.store import Store
from .derived import essentials, length_penalty

FLAG = "--worse-than-gold"


class StoredGold:
    """The score that a corpus's teacher gives each reference, as its search would write it.

    A store of beliefs keeps each target token's log-probability; their sum over the length, end of
    sentence included, to the corpus's power of it is the score.
    """

    def __init__(self, folder: Path, name: str, pairs: Any, shards: Shards):
        """Open the store of the references of ``pairs``, which the corpus ``shards`` translates.

        Raises:
            InputError: it is of another kind, text or teacher; or the corpus's scores are no
                teacher's log-probabilities.
        """
        self.store = Store(folder, name)
        settings = self.store.settings
        if settings["kind"] != "beliefs":
            raise InputError(
                f"{FLAG} {folder} is a store of {settings['kind']} and has no log-probabilities; "
                "give one of fairseq-kd cache without --features"
            )
        ours = fingerprint_of_sources(pairs), fingerprint(pairs.tgt, pairs.tgt_sizes)
        if (settings["source_sha256"], settings["target_sha256"]) != ours:
            raise InputError(
                f"{FLAG} {folder} was made of other text than {name.partition('.')[0]} of the data;"
                " give the store that fairseq-kd cache made of DATA"
            )
        corpus = shards[0][0].parent
        for theirs in _origins(essentials(shards)):
            _require_its_teacher(theirs, settings, folder, corpus)
        self.lenpen = length_penalty(shards[0][1]["settings"])

    def __getitem__(self, row: int) -> float | None:
        """None where the teacher had no positions for the sentence."""
        records = self.store.read(row)
        if not len(records):
            return None
        likelihood = float(records["gold"].astype(np.float64).sum())
        return likelihood / math.pow(len(records), self.lenpen)

    def sha256(self) -> str:
        """Of the store's shards."""
        digests = [manifest["sha256"] for _, manifest in self.store.shards]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _origins(step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The settings of the corpora at the beginning of a chain."""
    if not step["inputs"]:
        yield step["settings"]
    for one in step["inputs"]:
        yield from _origins(one)


def _require_its_teacher(theirs: Mapping[str, Any], ours: Any, store: Path, corpus: Path) -> None:
    if "teacher_sha256" not in theirs or "knnmt" in theirs:
        scored = "with neighbours" if "knnmt" in theirs else "by no teacher of ours"
        raise InputError(
            f"{FLAG} {store}: {corpus} was scored {scored}, and a store's log-probabilities are "
            "another scale; give its scorer's scores of the references with --gold-scores FILE"
        )
    if sorted(theirs["teacher_sha256"]) != sorted(ours["teacher_sha256"]):
        raise InputError(
            f"{FLAG} {store} is of another teacher than {corpus}; give the store of the teacher "
            "that translated"
        )


def to_score(line: str, path: Path, row: int) -> float | None:
    """A line of ``--gold-scores``; None where it is not finite.

    Raises:
        InputError: it is no number.
    """
    try:
        number = float(line)
    except ValueError:
        raise InputError(
            f"--gold-scores {path}, line {row + 1} has {line[:40]!r} where a number belongs; give "
            "one for each sentence"
        ) from None
    return number if math.isfinite(number) else None
