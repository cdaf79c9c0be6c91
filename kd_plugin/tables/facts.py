"""What a training says of itself, in its checkpoint and train.log, and what was measured of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus.records import find_corpus, length_power, read_corpus
from ..errors import InputError
from ..files.schema import read_json
from ..teachers.checkpoints import read_checkpoint
from .curves import learning, thinned
from .measures import FACTS


@dataclass(frozen=True)
class Files:
    """What was measured of a model: JSON of our commands, and corpora."""

    agreement: Path | None = None  # of agreement, on the valid set
    fit: Path | None = None  # of agreement, on the text that the model learnt
    speed: Path | None = None
    text: Path | None = None  # of describe, on that text
    searched: Sequence[Path] = ()  # its translations with scores, of one way of decoding


NOTHING = Files()


def facts(model: Path, files: Files = NOTHING) -> dict[str, Any]:
    """All of :data:`.measures.FACTS`, the run's signature, and its learning curve.

    Updates; seconds (of all its starts, validation included) and their quotient; parameters; memory
    at its largest (MB of the process, GB of 2^30 bytes on a GPU); perplexities of the last epoch on
    the valid set and on the text that it learnt, and on the valid set at the end of Annealing-KD's
    stage I; the threshold of Selective-KD in the last epoch, mean and deviation. By the files:
    agreement with the teacher and accuracies in percent, NLL in bits a token, the mean probability
    of the best translations in percent, H(word | word before) of the text that it learnt in bits,
    tokens a second of fairseq's search and of CTranslate2, megabytes of the export.

    Args:
        model: the folder of checkpoints and train.log.
        files: what was measured of it.

    Returns:
        With None for what is not told.

    Raises:
        InputError: the last checkpoint, or one of the files, cannot be read.
    """
    path = model / "checkpoint_last.pt"
    state = read_checkpoint(str(path), str(path))
    updates = state["optimizer_history"][-1]["num_updates"]
    seconds = state["extra_state"].get("previous_training_time")
    log = (model / "train.log").read_text("utf-8", "replace")
    signature = (state.get("task_state") or {}).get("signature")
    curve = learning(log)
    found = {
        "updates": updates,
        "seconds": round(seconds, 1) if seconds else None,
        "ups": round(updates / seconds, 3) if seconds else None,
        "parameters": _number(r"num\. shared model params: ([\d,]+)", log),
        "peak_mb": _most(r"\| peak_mb ([\d.]+)", log),
        "peak_gpu_gb": _gpu(log),
        "ppl": _number(r"\| valid on 'valid' subset \|.*?\| ppl ([\d.]+)", log),
        "train_ppl": _number(r"INFO \| train \|.*?\| ppl ([\d.]+)", log),
        "stage1_ppl": _stage1(state["cfg"], curve),
        "threshold": _number(r"INFO \| train \|.*?\| threshold (-?[\d.e-]+)", log),
        "threshold_sd": _number(r"INFO \| train \|.*?\| threshold_sd ([\d.e-]+)", log),
        **_fit("valid", files.agreement),
        **_fit("train", files.fit),
        **_speed(files.speed),
        "mode": mode(files.searched) if files.searched else None,
        "text_entropy": _text(files.text),
    }
    return {
        "signature": signature if isinstance(signature, str) else None,
        "learning": thinned(curve),
        **dict.fromkeys(FACTS),
        **found,
    }


def _number(pattern: str, log: str) -> float | None:
    """The last number that a pattern finds."""
    found = re.findall(pattern, log)
    return float(found[-1].replace(",", "")) if found else None


def _most(pattern: str, log: str) -> float | None:
    return max(map(float, re.findall(pattern, log)), default=None)


def _gpu(log: str) -> float | None:
    """What fairseq tells of a GPU's memory: all of it, and the least that was free."""
    total = _number(r"total memory = ([\d.]+) GB", log)
    free = min(map(float, re.findall(r"\| gb_free ([\d.]+)", log)), default=None)
    return None if total is None or free is None else round(total - free, 1)


def _stage1(cfg: Any, curve: Sequence[Sequence[float | None]]) -> float | None:
    """The perplexity of the last validation of Annealing-KD's stage I."""
    criterion = cfg["criterion"]
    if getattr(criterion, "_name", None) != "annealing_kd":
        return None
    updates = criterion.anneal_updates or cfg["optimization"].max_update // 2
    before = [point[1] for point in curve if point[0] is not None and point[0] <= updates]
    return before[-1] if before else None


def mode(corpora: Iterable[Path]) -> float | None:
    """The mean probability of the best translations, in percent: how much one of them gets.

    A search's score is log p / length ** lenpen, by which log p is found again.

    Raises:
        InputError: a corpus cannot be read.
    """
    found: list[float] = []
    for folder in corpora:
        names = {file.name.partition(".shard")[0] for file in folder.glob("*.jsonl.gz")}
        if len(names) != 1:
            raise InputError(f"{folder} holds {len(names)} corpora; name the folder of one")
        shards = find_corpus(folder, names.pop())
        lenpen = shards[0][1]["settings"]["search"]["lenpen"]
        for record in read_corpus(shards):
            for best in record["hypotheses"][:1]:
                if best["score"] is not None:
                    found.append(math.exp(best["score"] * length_power(best, lenpen)))
    return 100 * math.fsum(found) / len(found) if found else None


QUALITY = {"accuracy": float, "nll": float}


def _fit(name: str, path: Path | None) -> dict[str, float]:
    """Of the valid or the training set; agreement with the teacher is told of the first."""
    if path is None:
        return {}
    shape = {"all": {"agreement": float, "student": QUALITY, "teacher": QUALITY}}
    told = read_json(path, shape, "run fairseq-kd agreement again")["all"]
    found = {
        f"{name}_nll": float(told["student"]["nll"]),
        f"{name}_accuracy": 100 * float(told["student"]["accuracy"]),
    }
    if name == "valid":
        found["agreement"] = 100 * float(told["agreement"])
    return found


def _speed(path: Path | None) -> dict[str, float]:
    if path is None:
        return {}
    one = {"tokens": int, "seconds": float}
    shape = {"fairseq": one, "ctranslate2": ({**one, "megabytes": float}, {"why_not": str})}
    told = read_json(path, shape, "run fairseq-kd speed again")
    found = {"tps": told["fairseq"]["tokens"] / told["fairseq"]["seconds"]}
    outside = told["ctranslate2"]
    if "why_not" not in outside:
        found["ctranslate2_tps"] = outside["tokens"] / outside["seconds"]
        found["megabytes"] = outside["megabytes"]
    return found


def _text(path: Path | None) -> float | None:
    if path is None:
        return None
    rows = read_json(path, [{"conditional": float}], "run fairseq-kd describe again")
    return float(rows[0]["conditional"])
