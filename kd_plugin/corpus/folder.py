"""A new data folder: one subset written pair by pair, all else copied from the old one."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..data.dictionaries import languages
from ..data.indexed import SentenceWriter
from ..files.output import new_folder
from ..files.shards import subset_name
from ..files.whole import to_json, write_atomically
from ..version import versions
from .origin import Step, write_step


class PairWriter:
    """Takes the pairs of the subset in order, and what ``note`` says goes beside them."""

    def __init__(self, part: Path, task: Any, subset: str, targets: bool = True):
        self.part, self.pairs = part, 0
        self._name = subset_name(task, subset)
        self._languages = [task.cfg.source_lang, task.cfg.target_lang]
        self._step: Step | None = None
        stem = part / self._name
        self._sides = {
            code: SentenceWriter(f"{stem}.{code}", len(words))
            for code, words in languages(task)[: 1 + targets]
        }

    def add(self, source: Any, target: Any = None) -> None:
        """Token ids of both sides, with the end of sentence; of the source where it is all."""
        for side, tokens in zip(self._sides.values(), (source, target)):
            side.add(tokens)
        self.pairs += 1

    def made_by(
        self,
        command: str,
        flags: Mapping[str, Any],
        data: Step,
        inputs: Sequence[Step] = (),
        reads: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        within: str | None = None,
    ) -> None:
        """Say which command makes the folder; see :mod:`.origin`.

        Args:
            command: of ``fairseq-kd``.
            flags: as the command line spells them, without dashes.
            data: the origin of the folder that it was given.
            inputs: of the corpora and folders that it read beside it.
            reads: the sha256 of files that flags name.
            names: what those flags said.
            within: where in the command's output it stands, if that has several folders.
        """
        self._step = {
            "command": command, "flags": {**flags, "languages": self._languages}, "data": data,
            "inputs": list(inputs), "reads": dict(reads or {}), "names": dict(names or {}),
            **({"within": within} if within else {}),
        }  # fmt: skip

    def finish(self) -> None:
        """Write the indices, and how it was made."""
        for side in self._sides.values():
            side.finish()
        if self._step:
            step = {**self._step, "pairs": self.pairs, "versions": versions(torch)}
            write_step(self.part, self._name, step)

    def note(self, name: str, content: Any) -> None:
        """Say in ``name`` how the folder was made."""
        write_atomically(self.part / name, to_json(content))


@contextlib.contextmanager
def new_data_folder(
    task: Any,
    output: Path,
    subset: str,
    joined: bool = False,
    targets: bool = True,
    flag: str = "--output",
) -> Iterator[PairWriter]:
    """Write beside and move into place; dictionaries and the other subsets are those of the data.

    Args:
        task: of the data.
        output: the new folder.
        subset: what is written.
        joined: whether it takes the place of its further parts, too: ``train1`` and so on, which
            fairseq would train on.
        targets: whether the subset has a target side.
        flag: what named the folder, for errors.

    Raises:
        InputError: the folder exists, or cannot be written.
    """
    more = r"\d*" if joined else ""
    again = re.compile(rf"{re.escape(subset)}{more}\..*")
    with new_folder(output, flag) as part:
        for file in sorted(Path(task.cfg.data).iterdir()):
            data = file.name.endswith((".bin", ".idx")) and not again.fullmatch(file.name)
            if file.name.startswith("dict.") or data:
                shutil.copy2(file, part / file.name)
        writer = PairWriter(part, task, subset, targets)
        yield writer
        writer.finish()
