"""The checkpoint of a run that a rule names: ``last``, ``average:K`` or ``best-bleu``."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import InputError
from ..teachers.checkpoints import read_checkpoint
from .weights import average


def choose(folder: Path, rule: str) -> Path:
    """The checkpoint that a rule names; an average is made if it is not there yet.

    Raises:
        InputError: the run did not keep what the rule needs.
    """
    if rule.startswith("average:"):
        return _average(folder, int(rule.partition(":")[2]))
    path = folder / ("checkpoint_last.pt" if rule == "last" else "checkpoint_best.pt")
    if not path.exists():
        raise InputError(f"--rule {rule}: there is no {path}; name the --save-dir of a training")
    if rule == "best-bleu":
        chosen = read_checkpoint(str(path), str(path))["cfg"].checkpoint
        if chosen.best_checkpoint_metric != "bleu" or not chosen.maximize_best_checkpoint_metric:
            raise InputError(
                f"--rule best-bleu: {path} is the best by {chosen.best_checkpoint_metric}; train "
                "with --eval-bleu --best-checkpoint-metric bleu --maximize-best-checkpoint-metric"
            )
    return path


def _average(folder: Path, count: int) -> Path:
    updates = _numbered(folder, r"checkpoint_\d+_(\d+)\.pt")
    epochs = _numbered(folder, r"checkpoint(\d+)\.pt")  # of a training that kept one for each
    kept = epochs if epochs and not updates else {**_last(folder), **updates}
    if len(kept) < count:
        raise InputError(
            f"--rule average:{count}: {folder} keeps {len(kept)} checkpoint(s) of different "
            f"updates or epochs; train with --save-interval-updates N --keep-interval-updates "
            f"{count}, N no multiple of an epoch's updates, at whose end fairseq keeps none"
        )
    chosen = [kept[number] for number in sorted(kept)[-count:]]
    output = folder / f"average{count}.pt"
    if not output.exists() or output.stat().st_mtime <= chosen[-1].stat().st_mtime:
        average(chosen, output, replace=True)
    return output


def _last(folder: Path) -> dict[int, Path]:
    """The end of a training by its update: fairseq keeps no other there if an epoch ends, too."""
    path = folder / "checkpoint_last.pt"
    if not path.exists():
        return {}
    history = read_checkpoint(str(path), str(path)).get("optimizer_history") or [{}]
    return {int(history[-1].get("num_updates", 0)): path}


def _numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """Checkpoints by their number; another file, such as checkpoint_best_old.pt, is none."""
    found = ((re.fullmatch(pattern, path.name), path) for path in folder.glob("checkpoint*.pt"))
    return {int(match[1]): path for match, path in found if match}
