"""What the parts of the compiler share: the plan that they add steps to, and who reads what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .steps import Step, make_step
from .table import Scale, Table

MADE = ("generate", "cache", "datastore")  # kinds of steps that a teacher works in


@dataclass(frozen=True)
class Data:
    """A data set: the word that names its file, what the file says, and where raw text is."""

    name: str
    word: str
    cfg: Mapping[str, Any]
    origin: tuple[str, ...] = ()  # --from FOLDER, --download, or nothing for a generator
    text: Mapping[str, Sequence[str]] = field(default_factory=dict)  # sha256 of raw text, if known
    cut: bool = False  # its training set in halves, when it is prepared

    @property
    def languages(self) -> tuple[str, str]:
        source, target = self.cfg["languages"]
        return source, target

    @property
    def place(self) -> tuple[str, ...]:
        """Where raw text comes from, as it is no matter: it is known what it holds."""
        return self.origin if self.text else ()

    @property
    def tests(self) -> list[str]:
        """fairseq's names of the test sets."""
        return [f"test{number or ''}" for number in range(len(self.cfg["tests"]) + self.cut)]


@dataclass(frozen=True)
class Model:
    """A model file: the word that names it, and its flags."""

    word: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A folder that fairseq trains on; ``extra``: a second training set stands beside the first."""

    folder: str
    step: Step
    extra: bool = False


@dataclass(frozen=True)
class Trained:
    """A model's step, and the checkpoint that the table's rule chooses."""

    step: Step
    checkpoint: str
    text: Text  # that it learnt

    @property
    def folder(self) -> str:
        return f"{self.step.folder}/model"


@dataclass(frozen=True)
class Teachers:
    """The teacher; or several, one for each fold of the gold, trained on the others."""

    models: tuple[Trained, ...]

    @property
    def path(self) -> str:
        """All of them, as one ensemble: of text that none has seen."""
        return ":".join(model.checkpoint for model in self.models)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(model.step for model in self.models)


@dataclass
class Work:
    """A table, what it runs on, and the steps so far."""

    table: Table
    scale: Scale
    data: Data
    models: Mapping[str, Model]
    steps: dict[str, Step] = field(default_factory=dict)  # by folder
    gate: str | None = None  # folder of the step that new trainings wait for

    @property
    def prepared(self) -> Step:
        """The step of the data, which has the references of the test sets."""
        return next(step for step in self.steps.values() if step.kind == "data")

    @property
    def rule(self) -> str:
        """By which checkpoints are chosen."""
        return self.scale.checkpoint or self.table.checkpoint

    @property
    def students(self) -> list[str]:
        """Those that are trained at this scale."""
        return [name for name in self.table.students if self.scale.trains(name)]

    @property
    def tests(self) -> list[str]:
        """The sets that are translated and scored as one."""
        return self.data.tests[:-1] if self.table.halves else self.data.tests

    @property
    def tells_origlang(self) -> bool:
        """Whether the table asks for original languages, and the data tell."""
        return "origlang" in self.table.measure and bool(self.data.cfg.get("origlang"))

    @property
    def extra(self) -> str:
        """The set whose sources have no reference for students: the last."""
        return self.data.tests[-1]

    def add(self, *args: Any, **more: Any) -> Step:
        """A step, or the one that is there already; see :func:`.steps.make_step`.

        A new training waits for the gate, and where there is one kind of student alone, so does
        what is made for it.
        """
        step = make_step(*args, **more)
        behind = ("train",) if len(self.students) > 1 else ("train", *MADE)
        if self.gate is not None and step.kind in behind:
            step = replace(step, after=(*step.after, self.gate))
        return self.steps.setdefault(step.folder, step)

    def needed(self, folder: str, leave_out: Collection[str] = ()) -> tuple[str, ...]:
        """A step's folder and those of all steps before it, in order.

        Args:
            folder: of the step.
            leave_out: kinds of steps behind which it is not looked.
        """
        found: dict[str, None] = {}
        for before in self.steps[folder].after:
            if self.steps[before].kind not in leave_out:
                found |= dict.fromkeys(self.needed(before, leave_out))
        return (*found, folder)
