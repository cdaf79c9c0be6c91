"""What teachers make of a training set: one of all of it, or each of K of one fold."""

from __future__ import annotations

from dataclasses import dataclass

from .flags import Flags, words
from .steps import Command, Step
from .work import Teachers, Text, Trained, Work

MERGE = {"generate": "--corpora", "cache": "--stores"}  # what fairseq-kd fold merges


@dataclass(frozen=True)
class Lesson:
    """A command of ``fairseq-kd`` that runs a teacher, and what its folder is called."""

    command: str
    name: str
    subsets: tuple[str, ...]
    flags: Flags
    title: str
    share: float
    seen: bool  # of K teachers, each is asked about a fold that it was trained on

    def of(self, data: str, path: str, subsets: tuple[str, ...], output: str) -> Command:
        """The command line for a data folder and checkpoints."""
        given = (data, "--path", path, "--subset", ",".join(subsets), *words(self.flags))
        return ("fairseq-kd", self.command, *given, "--output", output)


def folds_of(work: Work, text: Text, folds: int) -> list[tuple[Text, Text]]:
    """Cut a training set: what each fold's teacher reads, and what it teaches."""
    command = ("fairseq-kd", "fold", text.folder, "--folds", str(folds))
    step = work.add(
        "folds",
        f"folds of {text.step.title}",
        lambda own: [(*command, "--output", f"{own}/folds")],
        (text.step,),
    )
    parts = [f"{step.folder}/folds/{fold}" for fold in range(folds)]
    return [(Text(f"{part}/seen", step), Text(f"{part}/unseen", step)) for part in parts]


def taught(work: Work, teachers: Teachers, text: Text, lesson: Lesson) -> tuple[str, Step]:
    """The folder that a lesson about a training set writes, and its step."""
    if len(teachers.models) == 1:
        return _made(work, teachers.models[0], text, lesson, lesson.subsets, lesson.title)
    made = []
    seen, *others = lesson.subsets  # the others no teacher saw: all are asked
    parts = folds_of(work, text, len(teachers.models))
    for number, model in enumerate(teachers.models):
        fold = (number - lesson.seen) % len(parts)
        title = f"{lesson.title}, fold {fold}"
        made.append(_made(work, model, parts[fold][1], lesson, (seen,), title))
    trained_on = [model.text.folder for model in teachers.models]
    merge = ("fairseq-kd", "fold", text.folder, "--trained-on", *trained_on)
    merge += (MERGE[lesson.command], *(folder for folder, _ in made))
    merge += ("--seen",) if lesson.seen else ()

    def commands(own: str) -> list[Command]:
        output = f"{own}/{lesson.name}"
        asked = [lesson.of(text.folder, teachers.path, tuple(others), output)] if others else []
        return [(*merge, "--output", output), *asked]

    after = (text.step, *teachers.steps, *(step for _, step in made))
    step = work.add("merge", f"{lesson.title}, merged", commands, after)
    return f"{step.folder}/{lesson.name}", step


def _made(
    work: Work, model: Trained, text: Text, lesson: Lesson, subsets: tuple[str, ...], title: str
) -> tuple[str, Step]:
    step = work.add(
        lesson.command,
        title,
        lambda own: [lesson.of(text.folder, model.checkpoint, subsets, f"{own}/{lesson.name}")],
        (text.step, model.step),
        share=lesson.share,
    )
    return f"{step.folder}/{lesson.name}", step
