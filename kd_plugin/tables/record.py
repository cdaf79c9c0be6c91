"""The line of the ledger for one run; see :mod:`.ledger`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sacrebleu
import torch

from ..report.lines import read_lines, read_translations
from ..report.scores import METRICS, Measure
from ..teachers.checkpoints import read_checkpoint
from ..version import versions
from .facts import NOTHING, Files, facts
from .ledger import append, keep
from .locate import REPOSITORY
from .steps import DONE


def record(
    ledger: Path,
    cell: Mapping[str, Any],
    model: Path,
    translations: Mapping[str, Path],
    references: Path,
    rule: str,
    files: Files = NOTHING,
    origlang: Path | None = None,
    needed: Sequence[Path] = (),
) -> dict[str, Any]:
    """Score a run's translations, keep them, and write its line.

    Args:
        ledger: the folder of the ledger.
        cell: table, scale, data, student, row and seed.
        model: the folder of its training.
        translations: files by the name of the decoding.
        references: file, a line for each of the translations.
        rule: by which the checkpoint was chosen.
        files: what was measured of the model.
        origlang: file with the original language of each of the references.
        needed: the folders of the steps without which it would not be, its training not among them.

    Raises:
        InputError: a file cannot be read.
    """
    expected = read_lines(str(references), "--references")
    measure = Measure([expected])
    scores = {}
    for name, path in translations.items():
        counts = measure.counts(read_translations(str(path), f"--translation {name}", expected))
        scores[name] = dict(zip(METRICS, measure.score(counts.sum(0)).tolist()))
    entry = {
        **cell,
        "model": str(model),
        "scores": scores,
        "signatures": {n: f"{s}|checkpoint:{rule}" for n, s in measure.signatures().items()},
        "translations": {name: keep(ledger, path) for name, path in translations.items()},
        "translated": str(next(iter(translations.values())).parent),
        "compared": str(files.agreement.parent) if files.agreement else None,
        "references": keep(ledger, references),
        "origlang": keep(ledger, origlang) if origlang else None,
        "needed": {str(step): seconds_of(step) for step in needed},
        "training": facts(model, files),
        "versions": versions(torch, sacrebleu),
        "commit": commit(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    append(ledger, entry)
    return entry


def seconds_of(step: Path) -> float | None:
    """What a step took: a training all its starts together; None where nobody knows."""
    model = step / "model" / "checkpoint_last.pt"
    if model.is_file():
        seconds = read_checkpoint(str(model), str(model))["extra_state"].get(
            "previous_training_time"
        )
        if seconds:
            return round(float(seconds), 1)
    done = step / DONE
    return float(done.read_text().strip() or 0) if done.is_file() else None


def commit() -> str | None:
    """The repository's commit, with a plus where tracked files are changed; None outside of git."""
    words = ["git", "-C", str(REPOSITORY), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
