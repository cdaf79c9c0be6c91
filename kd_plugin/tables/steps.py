"""Steps: commands in a folder whose name is a hash of all that they depend on.

Two rows, or two tables, that need the same teacher ask for the same folder, and the work is done
once. A step that is done is never done again; one whose command changes is another step.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

ROOT = "$ROOT"  # begins names of files of the repository; scripts/step.sh says where it is
DONE = "complete"  # the file of a folder whose step is done, with the seconds that it took
GATE = "gate"  # the kind of step that opens or closes the rows behind it
FIRST = "first "  # begins the title of the gate of a student that has another behind it
NO_MODEL = frozenset(
    ("data", "halves", "folds", "noise", "filter", "select", "text", "describe", GATE,
     "record")
)  # fmt: skip
Command = tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What is done in a folder, after other steps.

    ``folder`` is relative to the output folder, in which the commands run; ``share`` is about how
    much of the whole work it is, until steps of its kind have been timed; ``model``: it runs one,
    and so has use for a GPU.
    """

    folder: str
    title: str
    commands: tuple[Command, ...]
    after: tuple[str, ...]
    share: float
    model: bool

    @property
    def kind(self) -> str:
        return kind_of(self.folder)

    def script(self) -> str:
        """The commands for bash."""
        lines = [" ".join(map(_shell_word, command)) for command in self.commands]
        return "\n".join([f"# {self.title}", "set -euo pipefail", *lines, ""])


def kind_of(folder: str) -> str:
    """The kind of the step whose folder this is: ``train`` of ``steps/train-0123456789ab``."""
    return folder.rpartition("/")[2].rpartition("-")[0]


def make_step(
    kind: str,
    title: str,
    commands: Callable[[str], Iterable[Sequence[str]]],
    after: Iterable[Step] = (),
    contents: Any = None,
    share: float = 10,
    hidden: Collection[str] = (),
) -> Step:
    """A step whose folder is named by its commands and their inputs.

    Args:
        kind: begins the name of its folder.
        title: for readers; no part of the hash.
        commands: for a folder.
        after: what must be done before; their folders, in the commands, carry their own hashes.
        contents: of files of the repository that the commands read, as JSON.
        share: see :class:`Step`.
        hidden: words of commands that are no part of the hash; ``contents`` say as much.
    """
    unnamed = [[word for word in one if word not in hidden] for one in commands("@")]
    told = json.dumps([kind, unnamed, contents], sort_keys=True)
    folder = f"steps/{kind}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    named = tuple(tuple(command) for command in commands(folder))
    before = tuple(step.folder for step in after)
    return Step(folder, title, named, before, share, kind not in NO_MODEL)


def _shell_word(word: str) -> str:
    if word.startswith(f"{ROOT}/"):
        return f'"{ROOT}"{shlex.quote(word.removeprefix(ROOT))}'
    return shlex.quote(word)
