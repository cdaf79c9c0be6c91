"""What ``fairseq-kd score`` is given, checked."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import InputError
from .comparison import System
from .lines import read_lines


def parse_system(text: str) -> System:
    """A system from ``NAME=HYP[,HYP...]``.

    Raises InputError for another form, and for a file that is given twice, which is no second seed.
    """
    name, _, files = text.partition("=")
    system = System(name.strip(), files.split(","))
    if not system.name or not all(system.files):
        raise InputError(f"--system {text} is not understood; give NAME=HYP or NAME=HYP,HYP,...")
    if "|" in system.name or "\n" in system.name:
        raise InputError(f"--system {text}: a name in a table has no | or line end; rename it")
    seen: set[str] = set()
    for file in system.files:
        if os.path.realpath(file) in seen:
            raise InputError(
                f"--system {system.name} has {file} twice; give each seed's own translations"
            )
        seen.add(os.path.realpath(file))
    return system


def check_names(systems: Sequence[System], baseline: str | None) -> None:
    """Raises InputError for a system named twice and for a baseline that is none of them."""
    names = [system.name for system in systems]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"--system {name} is given twice; give its seeds as --system {name}=HYP,HYP,..."
            )
    if baseline is not None and baseline not in names:
        raise InputError(f"--baseline {baseline} is no system; give one of {', '.join(names)}")


def same_seeds(systems: Sequence[System], baseline: str | None) -> dict[str, range]:
    """Seeds by which the k-th run of each system belongs to the k-th of the baseline.

    Raises InputError where a system has several runs, and not as many as the baseline.
    """
    if baseline is None:
        raise InputError("--paired compares with a baseline; name it with --baseline")
    base = next((system for system in systems if system.name == baseline), None)
    if base is None:
        return {}
    for system in systems:
        if system.n not in (1, base.n):
            raise InputError(
                f"--paired: {system.name} has {system.n} files and {base.name} {base.n}; give the "
                "runs of the same seeds, in the same order (one run alone is not compared)"
            )
    return {system.name: range(base.n) for system in systems if system.n == base.n}


def read_texts(
    references: Sequence[str], systems: Sequence[System]
) -> tuple[list[list[str]], dict[str, list[str]]]:
    """The sentences of each reference, and of each file of the systems.

    Raises InputError, with both counts, where one has another number of lines than the first.
    """
    first, *others = [read_lines(path, "--references") for path in references]
    texts: dict[str, list[str]] = {}
    given = [("--references", path, lines) for path, lines in zip(references[1:], others)]
    for system in systems:
        flag = f"--system {system.name}:"
        texts |= {path: read_lines(path, flag) for path in system.files}
        given += [(flag, path, texts[path]) for path in system.files]
    for flag, path, lines in given:
        if len(lines) != len(first):
            raise InputError(
                f"{flag} {path} has {len(lines)} lines and --references {references[0]} has "
                f"{len(first)}; give a line for each sentence (fairseq-generate needs "
                "--required-batch-size-multiple 1)"
            )
    return [first, *others], texts


def read_origlang(path: str, sentences: int) -> list[str]:
    """The original language of each sentence, "" where the file leaves it empty.

    The file has a code a line in the sentences' order, or two columns in any order: the sentence's
    number (from 1), a tab, the code. Raises InputError unless each sentence has its line.
    """
    lines = read_lines(path, "--origlang")
    if len(lines) != sentences:
        raise InputError(
            f"--origlang {path} has {len(lines)} lines for {sentences} sentences; give one for each"
        )
    if not any("\t" in line for line in lines):
        return [line.strip() for line in lines]
    numbers = {str(number): number for number in range(1, sentences + 1)}
    codes: dict[int, str] = {}
    for line in lines:
        left, _, code = line.partition("\t")
        number = numbers.pop(left.strip(), None)
        if number is None or "\t" in code or "\t" not in line:
            raise InputError(
                f"--origlang {path}: {line!r} is not a number from 1 to {sentences} that no other "
                "line has, a tab and a code; write each sentence's number once"
            )
        codes[number] = code.strip()
    return [codes[number] for number in range(1, sentences + 1)]
