"""The checkpoint of a run that a rule names: ``last``, ``average:K`` or ``best-bleu``."""

from __future__ import annotations

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
    kept = {int(path.stem.split("_")[2]): path for path in folder.glob("checkpoint_*_*.pt")}
    if not kept:  # a training that kept one for each epoch
        kept = {int(p.stem[10:]): p for p in folder.glob("checkpoint[0-9]*.pt")}
    if len(kept) < count:
        raise InputError(
            f"--rule average:{count}: {folder} keeps {len(kept)} checkpoint(s) of different "
            f"updates or epochs; train with --save-interval-updates N --keep-interval-updates "
            f"{count}"
        )
    chosen = [kept[number] for number in sorted(kept)[-count:]]
    output = folder / f"average{count}.pt"
    if not output.exists() or output.stat().st_mtime <= chosen[-1].stat().st_mtime:
        average(chosen, output, replace=True)
    return output
