"""The files that a plan is made of: table, scale, data set and model files, by name or by path."""

from __future__ import annotations

import dataclasses
import difflib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..corpus.config import read_config
from ..corpus.layout import fingerprints, require_files
from ..errors import InputError
from .read import read_scale, read_table
from .steps import ROOT
from .table import Scale, Table
from .work import Data, Model

REPOSITORY = Path(__file__).parents[2]
CONFIGS = REPOSITORY / "configs"
HALF, OTHER_HALF = "half1", "half2"  # of data that scripts/halves.py cuts: training set, test set


def find(name: str, kind: str, ending: str, beside: Path | None = None) -> Path:
    """The file of configs/KIND that is called ``name``, or the path that ``name`` is.

    Args:
        name: with a slash or the ending it is a path.
        kind: a folder of configs.
        ending: of such files.
        beside: the folder that a path may be relative to, rather than to the current one.

    Raises:
        InputError: there is none; what there is is listed.
    """
    if "/" in name or name.endswith(ending):
        paths = [Path(name), *([beside / name] if beside else [])]
        for path in paths:
            if path.is_file():
                return path.resolve()
        raise InputError(f"{name} does not exist; give a file, or a name of configs/{kind}")
    path = CONFIGS / kind / f"{name}{ending}"
    if not path.is_file():
        known = sorted(p.stem for p in (CONFIGS / kind).glob(f"*{ending}"))
        near = difflib.get_close_matches(name, known, 1)
        raise InputError(
            f"{name!r} is none of configs/{kind} ({', '.join(known) or 'which is missing'}); give "
            f"{f'{near[0]} or another one' if near else 'one of them'}, or the path of a file that "
            f"ends in {ending}"
        )
    return path


def word_of(path: Path) -> str:
    """How a command names a file: from the repository's root, where it is in it."""
    if path.is_relative_to(REPOSITORY):
        return f"{ROOT}/{path.relative_to(REPOSITORY)}"
    return str(path)


def find_scale(table: Table, name: str, changes: Mapping[str, str] | None = None) -> Scale:
    """A scale of configs/scales with a table's changes; ``paper`` changes nothing by itself.

    Args:
        table: checked.
        name: of the scale.
        changes: those of a call: model files of ``teacher`` and ``student``, ``checkpoint``; others
            are not of a scale.
    """
    path = CONFIGS / "scales" / f"{name}.yaml"
    scale = read_scale(path, name, table.scales.get(name, {}), f"{table.name}: scales.{name}")
    changes = changes or {}
    models = {who: changes[who] for who in ("teacher", "student") if who in changes}
    checkpoint = changes.get("checkpoint", scale.checkpoint)
    students = {who: models.get("student", model) for who, model in scale.students.items()}
    return dataclasses.replace(
        scale, checkpoint=checkpoint, models=scale.models | models, students=students
    )


def find_data(
    table: Table, name: str, origin: str | None, download: bool, beside: Path | None = None
) -> Data:
    """A data set, whose path may be relative to ``beside``, and where its raw text is.

    Raises:
        InputError: there is no such data set, it is half of one and the table wants a whole, or
            nothing says where its text is, or --from says it of one that a program writes.
    """
    path = find(name, "data", ".yaml", beside)
    cfg = read_config(path)
    half = cfg["train"] == HALF
    if half and not table.halves:
        raise InputError(
            f"data set {path.stem} is half of another one (train: {HALF}), and table {table.name} "
            "wants a whole one; name that with --data"
        )
    data = Data(path.stem, word_of(path), cfg, cut=table.halves and not half)
    if "generator" in cfg:
        if origin is not None:
            raise InputError(
                f"--from {origin} would not be read: a program writes the text of data set "
                f"{path.stem}, on which this runs; leave --from out, or name your own data set "
                "with --data"
            )
        return data
    if origin is not None:
        there, whole = Path(origin), dict(cfg)
        if half:  # which scripts/halves.py writes, from train and the other files
            tests = [test for test in cfg["tests"] if test != OTHER_HALF]
            whole |= {"train": "train", "tests": tests}
        require_files(whole, there)
        return dataclasses.replace(
            data, origin=("--from", str(there.resolve())), text=fingerprints(whole, there)
        )
    if download and "download" in cfg and not half:
        known = fingerprints(cfg, None)
        return dataclasses.replace(
            data, origin=("--download",), text=known if all(known.values()) else {}
        )
    where = f" ({cfg['where']})" if "where" in cfg else ""
    more = ", that of the whole text" if half else ", or --download" if "download" in cfg else ""
    raise InputError(f"data set {path.stem}{where} is read from files; give --from FOLDER{more}")


def find_models(table: Table, scale: Scale, beside: Path) -> dict[str, Model]:
    """The model files that a table at a scale names; paths may be relative to ``beside``."""
    named = [table.teacher.model, *(s.model for s in table.students.values())]
    found = {}
    for name in (*named, *scale.models.values(), *scale.students.values()):
        path = find(name, "models", ".args", beside)
        found[name] = Model(word_of(path), tuple(flags_of(path.read_text("utf-8").splitlines())))
    return found


def flags_of(lines: Iterable[str]) -> list[str]:
    """The flags of a model file, as scripts/common.sh reads them."""
    return [word for line in lines for word in shlex.split(line.split("#")[0])]


def find_table(name: str) -> tuple[Table, Path]:
    """A table, and its file."""
    path = find(name, "tables", ".yaml")
    return read_table(path), path
