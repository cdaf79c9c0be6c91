"""A new data folder: one subset written pair by pair, all else copied from the old one."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq.data import indexed_dataset

from ..files.output import new_folder
from ..files.shards import subset_name
from ..files.whole import to_json, write_atomically


class PairWriter:
    """Takes the pairs of the subset in order, and what ``note`` says goes beside them."""

    def __init__(self, part: Path, task: Any, subset: str):
        self.part, self.pairs = part, 0
        stem = part / subset_name(task, subset)
        self._sides = {
            f"{stem}.{code}": indexed_dataset.make_builder(f"{stem}.{code}.bin", "mmap", len(words))
            for code, words in task.languages()
        }

    def add(self, source: Any, target: Any) -> None:
        """Token ids of both sides, with the end of sentence."""
        for side, tokens in zip(self._sides.values(), (source, target)):
            side.add_item(tokens)
        self.pairs += 1

    def finish(self) -> None:
        """Write the indices."""
        for stem, side in self._sides.items():
            side.finalize(f"{stem}.idx")

    def note(self, name: str, content: Any) -> None:
        """Say in ``name`` how the folder was made."""
        write_atomically(self.part / name, to_json(content))


@contextlib.contextmanager
def new_data_folder(
    task: Any, output: Path, subset: str, joined: bool = False
) -> Iterator[PairWriter]:
    """Write beside and move into place; dictionaries and the other subsets are those of the data.

    Args:
        task: of the data.
        output: the new folder.
        subset: what is written.
        joined: whether it takes the place of its further parts, too: ``train1`` and so on, which
            fairseq would train on.

    Raises:
        InputError: the folder exists, or cannot be written.
    """
    more = r"\d*" if joined else ""
    again = re.compile(rf"{re.escape(subset)}{more}\..*")
    with new_folder(output) as part:
        for file in sorted(Path(task.cfg.data).iterdir()):
            data = file.name.endswith((".bin", ".idx")) and not again.fullmatch(file.name)
            if file.name.startswith("dict.") or data:
                shutil.copy2(file, part / file.name)
        writer = PairWriter(part, task, subset)
        yield writer
        writer.finish()
