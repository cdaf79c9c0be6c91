"""The corpus as files."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import InputError
from .damage import damage as damaged
from .dice import Dice
from .sentences import Sentence, draw_sentence, english, german


def write_toy_corpus(
    folder: Path,
    train: int = 20000,
    valid: int = 500,
    test: int = 1000,
    references: int = 4,
    damage: float = 0.1,
    seed: int = 1,
) -> None:
    """Write ``{train,valid,test}.{de,en}`` and the further references ``test.en1``, ``test.en2``.

    No source occurs twice, in all splits together. The same arguments give the same bytes on every
    machine. The test set depends on ``seed`` and its own sizes only, and ``damage`` changes no more
    than the targets that it damages. All files appear when all are complete, or none does.

    Args:
        folder: where to; made if it is missing. Files of these names are replaced.
        train, valid, test: pairs, 1 or more each.
        references: English versions of each test sentence, 1 or more.
        damage: share of the train targets that are damaged, 0 to 1 (see :mod:`.damage`).
        seed: 0 or more.

    Raises:
        InputError: an argument is out of range.
    """
    for name, value, least in (
        ("train", train, 1),
        ("valid", valid, 1),
        ("test", test, 1),
        ("references", references, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise InputError(f"--{name} {value} is too small; give {least} or more")
    if not 0 <= damage <= 1:
        raise InputError(f"--damage {damage} is no share of the train targets; give 0 to 1")

    plans = _plans({"test": test, "valid": valid, "train": train}, Dice(seed, "plans"))
    files = {f"{split}.de": [german(plan) for plan in plans[split]] for split in plans}
    for split in plans:
        for number in range(references if split == "test" else 1):
            dice = Dice(seed, f"english {split} {number}")
            lines = [english(plan, dice) for plan in plans[split]]
            files[f"{split}.en{number or ''}"] = lines
    files["train.en"] = damaged(files["train.en"], damage, Dice(seed, "damage"))
    _write(folder, files)


def _plans(sizes: dict[str, int], dice: Dice) -> dict[str, list[Sentence]]:
    """Meanings of each split, all with different German sentences."""
    plans: dict[str, list[Sentence]] = {split: [] for split in sizes}
    seen: set[str] = set()
    for split, size in sizes.items():
        while len(plans[split]) < size:
            plan = draw_sentence(dice)
            source = german(plan)
            if source not in seen:
                seen.add(source)
                plans[split].append(plan)
    return plans


def _write(folder: Path, files: dict[str, list[str]]) -> None:
    """Write all files, or none if that fails midway."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = {folder / name: folder / f"{name}.partial" for name in files}
    placed: list[Path] = []
    try:
        for path, lines in zip(partial.values(), files.values()):
            path.write_bytes("".join(f"{line}\n" for line in lines).encode())
        for final, path in partial.items():
            os.replace(path, final)
            placed.append(final)
    except BaseException:
        for path in (*partial.values(), *placed):
            path.unlink(missing_ok=True)
        raise
