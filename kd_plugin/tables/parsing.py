"""A step's command lines, read by the parsers of the programs that they start."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fairseq import options
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY

from ..errors import InputError
from ..host.ranges import check_ranges
from .locate import REPOSITORY
from .plan import Plan
from .steps import Command
from .work import Model


def check(plan: Plan, models: Mapping[str, Model], own: argparse.ArgumentParser) -> None:
    """Have every command line read by the parser of its program.

    Args:
        plan: its steps' commands.
        models: by any name.
        own: the parser of ``fairseq-kd``.

    Raises:
        InputError: one is refused; the step and what the parser said of it.
    """
    titles = {command: step.title for step in plan.steps for command in step.commands}
    flags = {model.word: model.flags for model in models.values()}
    for command, said in refusals(titles, flags, own):
        raise InputError(f"table {plan.table}, {titles[command]}: {said}")


def refusals(
    commands: Iterable[Command], models: Mapping[str, Sequence[str]], own: argparse.ArgumentParser
) -> Iterator[tuple[Command, str]]:
    """The commands that a parser refuses, and what it says.

    Commands that differ in folders and seed alone are read once.

    Args:
        commands: of steps.
        models: the flags of model files, by the words that name them.
        own: the parser of ``fairseq-kd``.
    """
    for command in commands:
        name, words = command[0].rpartition("/")[2], command[1:]
        said = None
        if name == "train.sh":
            data, save, model, *flags = words
            said = refused_by_fairseq(_plain([data, "--save-dir", save, *models[model], *flags]))
        elif name == "translate.sh":
            data, path, subset, output, *flags = words
            start = ["generate", data, "--path", path, "--subset", subset, "--output", output]
            said = _refused(own, _plain([*start, *flags]))
        elif name == "fairseq-kd":
            said = _refused(own, _plain(words))
        if said:
            yield command, said


def _plain(words: Sequence[str]) -> tuple[str, ...]:
    """A command without what no parser minds: names of folders, and the seed."""
    same = [re.sub(r"steps/\S+", "steps/some", word) for word in words]
    return tuple("1" if before == "--seed" else word for before, word in zip(["", *same], same))


@functools.cache
def refused_by_fairseq(flags: tuple[str, ...]) -> str | None:
    """What ``fairseq-train`` under our task says against flags, as scripts/train.sh gives them."""
    first, *rest = flags
    start = [first, "--user-dir", str(REPOSITORY / "kd_plugin"), "--task", "distillation"]
    words = [*start, "--criterion", "label_smoothed_cross_entropy", *rest]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            given = options.parse_args_and_arch(options.get_training_parser(), input_args=words)
        if given.criterion in CRITERION_DATACLASS_REGISTRY:
            check_ranges(CRITERION_DATACLASS_REGISTRY[given.criterion], given)
    except SystemExit:
        return _last_line(said)
    except InputError as error:
        return str(error)
    return None


@functools.cache
def _refused(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> str | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit:
        return _last_line(said)
    return None


def _last_line(said: io.StringIO) -> str:
    """What a parser says behind the name of its program."""
    line = (said.getvalue().strip().splitlines() or ["it is refused"])[-1]
    return re.sub(r"^[\w. -]+: error: ", "", line)
