"""Which of K teachers teaches which sentence: one that never saw it, or one that did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.subset import fingerprint, read_sides, require_same_dictionaries
from ..errors import InputError
from ..files.whole import sha256
from ..host.paths import absolute
from ..teachers.checkpoints import own_data, read_checkpoint
from .fold import UNSEEN, require_one_part, source_hashes
from .origin import Step, origin_of


class Assignment:
    """Which of K teachers teaches each sentence: the first that was trained without its source.

    With ``seen`` it is the one after that (after the last, the first), which was trained on it. So
    each teacher has as much to teach as without, and only what it knows of it differs.
    """

    def __init__(
        self, task: Any, pairs: Any, folders: Sequence[str], subset: str, seen: bool = False
    ):
        """Read the training text of the teachers: ``subset`` of each of ``folders``.

        Memory holds 8 bytes a sentence of the data and of one folder at a time.

        Raises:
            InputError: no teacher can teach a sentence; the first is named.
        """
        self.folders, self.subset, self.pairs = list(folders), subset, pairs
        self.seen, self.data = seen, str(task.cfg.data)
        ours = source_hashes(pairs)
        self.saw: list[NDArray[np.bool_]] = []  # of each folder [n]
        self.text_sha256: list[str] = []
        self.origins: list[Step] = []
        for folder in folders:
            require_same_dictionaries(folder, task, "--trained-on")
            require_one_part(folder, subset)
            theirs = read_sides(task, folder, subset)
            self.saw.append(np.isin(ours, source_hashes(theirs)))
            self.origins.append(origin_of(Path(folder), [theirs]))
            self.text_sha256 += self.origins[-1]["sources_sha256"]
        self._require_none(
            np.logical_and.reduce(self.saw),
            f"stands in the training text of every teacher ({', '.join(self.folders)})",
        )
        self.fold = np.argmin(self.saw, 0)  # [n]: the first False
        if seen:
            self.fold = (self.fold + 1) % len(folders)
            lacks = ~np.stack(self.saw)[self.fold, np.arange(len(pairs))]
            named = self.folders[self.fold[lacks.argmax()]]
            self._require_none(lacks, f"has its turn, with --seen, in {named}, which lacks it")
        self.source_sha256 = fingerprint(pairs.src, pairs.src_sizes)
        self.row = np.empty(len(pairs), np.int64)  # of each sentence among those of its fold [n]
        for number in range(len(folders)):
            rows = self.rows(number)
            self.row[rows] = np.arange(len(rows))

    def _require_none(self, rows: NDArray[np.bool_], what: str) -> None:
        """Refuse sentences that no teacher can teach [n].

        Raises:
            InputError: there is one.
        """
        if rows.any():
            row = int(rows.argmax())
            raise InputError(
                f"line {row + 1} of {self.subset} in {self.data} ({self.text(row)}) {what}, as "
                f"{rows.sum()} line(s) do; train each teacher on one folder that fairseq-kd fold "
                "--folds cut"
            )

    def rows(self, fold: int) -> NDArray[np.int64]:
        """The sentences that teacher ``fold`` teaches."""
        return np.flatnonzero(self.fold == fold)

    def text(self, row: int) -> str:
        """A sentence's source, for errors; its beginning, if it is long."""
        text = self.pairs.src_dict.string(self.pairs.src[row])
        return repr(text if len(text) <= 60 else f"{text[:57]}...")

    def sources_sha256(self, fold: int) -> str:
        """What a corpus of these sentences alone says of its sources."""
        return fingerprint(self.pairs.src, self.pairs.src_sizes, self.rows(fold))

    def is_whole(self, fold: int, source_sha256: str, name: str) -> bool:
        """Whether what teacher ``fold`` said is of all sentences, or of its own alone.

        Args:
            fold: of the teacher.
            source_sha256: of the sentences that it was asked about.
            name: of what it said, for errors.

        Raises:
            InputError: it is of neither; where the teacher saw them, the first is named.
        """
        if source_sha256 == self.source_sha256:
            return True
        if source_sha256 == self.sources_sha256(fold):
            return False
        for other in range(len(self.folders)):
            wrong = self.rows(other)[self.saw[fold][self.rows(other)] != self.seen]
            if len(wrong) and self.sources_sha256(other) == source_sha256:
                what, where, way = "saw", "stands", "give --seen"
                if self.seen:
                    what, where, way = "never saw", "is not", "leave out --seen"
                raise InputError(
                    f"{name} is of sentences that its teacher {what}: line {wrong[0] + 1} of "
                    f"{self.subset} ({self.text(wrong[0])}) {where} in {self.folders[fold]}; if "
                    f"all were asked about such, {way}; else give --path with the checkpoints, "
                    "which proves whose is whose, and all in the order of the checkpoints"
                )
        lacking = self.folders[fold - self.seen]
        named = ", named before its own," if self.seen else ""
        raise InputError(
            f"{name} is neither of all {len(self.pairs)} sentences of {self.subset} nor of the "
            f"{len(self.rows(fold))} that {lacking}{named} lacks; ask its teacher about DATA, or "
            f"about the folder {UNSEEN} that fairseq-kd fold --folds wrote beside that"
        )


def trained_on(given: Sequence[str], paths: Sequence[str], count: int, flag: str) -> list[str]:
    """The data folder that each of ``count`` teachers was trained on.

    Args:
        given: ``--trained-on``; () where the checkpoints tell.
        paths: ``--path``, the checkpoints; () where they are not at hand.
        count: of what ``flag`` names.

    Raises:
        InputError: the numbers differ, nothing tells, or a checkpoint tells something else.
    """
    if not given and not paths:
        raise InputError(
            f"{flag}: say for each what its teacher was trained on, with --trained-on FOLDER ... "
            "or, where the checkpoints are at hand, with --path CHECKPOINT ..."
        )
    for name, values in (("--trained-on", given), ("--path", paths)):
        if values and len(values) != count:
            raise InputError(
                f"{name} names {len(values)} and {flag} {count}; give one for each, in one order"
            )
    told = [_recorded(path) for path in paths] or [None] * count
    for recorded, folder, path in zip(told, given, paths):
        if recorded and not _same(recorded, folder):
            raise InputError(
                f"--path {path} was trained on {recorded}, as it says itself, and --trained-on "
                f"{folder} is another folder; give all in one order"
            )
    for recorded, path in zip(told, paths):
        if not recorded and not given:
            raise InputError(
                f"--path {path} does not say what it was trained on, or that is gone; name the "
                "folders with --trained-on"
            )
    return list(given) or [str(recorded) for recorded in told]


def _recorded(path: str) -> str | None:
    return own_data(read_checkpoint(absolute(path), f"--path {path}")["cfg"])


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, absolute(other))
    except OSError:
        return False


def require_teachers(
    paths: Sequence[str], whose: Sequence[Sequence[str]], names: Sequence[str]
) -> None:
    """Refuse what another teacher said than the one whose checkpoint stands in its place.

    Args:
        paths: ``--path``; () leaves nothing to check.
        whose: sha256 of the teachers of each.
        names: of what they said, for errors.

    Raises:
        InputError: it is so.
    """
    for path, teachers, name in zip(paths, whose, names):
        if sha256(absolute(path)) not in teachers:
            raise InputError(
                f"{name} was not made with --path {path} (sha256); give both in one order"
            )
