"""What a training says of itself, in its checkpoint and in train.log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..files.schema import read_json
from ..teachers.checkpoints import read_checkpoint


def facts(model: Path, agreement: Path | None = None) -> dict[str, Any]:
    """Updates, seconds (of all its starts, validation included), perplexities of the last epoch.

    The agreement is in percent.

    Args:
        model: the folder of checkpoints and train.log.
        agreement: JSON of ``fairseq-kd agreement``.

    Returns:
        With None for what is not told.

    Raises:
        InputError: the last checkpoint, or the JSON, cannot be read.
    """
    path = model / "checkpoint_last.pt"
    state = read_checkpoint(str(path), str(path))
    updates = state["optimizer_history"][-1]["num_updates"]
    seconds = state["extra_state"].get("previous_training_time")
    log = (model / "train.log").read_text("utf-8", "replace")
    signature = (state.get("task_state") or {}).get("signature")
    return {
        "signature": signature if isinstance(signature, str) else None,
        "updates": updates,
        "seconds": round(seconds, 1) if seconds else None,
        "ups": round(updates / seconds, 3) if seconds else None,
        "parameters": _number(r"num\. shared model params: ([\d,]+)", log),
        "ppl": _number(r"\| valid on 'valid' subset \|.*?\| ppl ([\d.]+)", log),
        "train_ppl": _number(r"INFO \| train \|.*?\| ppl ([\d.]+)", log),
        "agreement": _agreement(agreement),
        "learning": learning(log),
    }


def learning(log: str) -> list[list[float]]:
    """Update and perplexity on the valid set at each validation, at most 60 of them."""
    pattern = r"\| valid on 'valid' subset \|.*?\| ppl ([\d.]+).*?\| num_updates (\d+)"
    points = [[int(update), float(ppl)] for ppl, update in re.findall(pattern, log)]
    return points[:: max(1, -(-len(points) // 60))]


def _number(pattern: str, log: str) -> float | None:
    """The last number that a pattern finds."""
    found = re.findall(pattern, log)
    return float(found[-1].replace(",", "")) if found else None


def _agreement(path: Path | None) -> float | None:
    if path is None:
        return None
    shape, way_out = {"all": {"agreement": float}}, "run fairseq-kd agreement again"
    return 100 * float(read_json(path, shape, way_out)["all"]["agreement"])
