"""Two checkpoints on the same text, by frequency of its tokens; see docs/agreement.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import fairseq
import numpy as np
import torch
from numpy.typing import NDArray

from ..data.subset import fingerprint, fingerprint_of_sources, read_subset
from ..errors import InputError
from ..teachers.live import LiveTeacher
from ..teachers.positions import readable
from ..version import __version__, versions
from .calibration import BINS
from .forced import measure
from .frequency import group_names, target_frequencies
from .tally import Tally


@dataclass(frozen=True)
class Agreement:
    """What was measured, of which sentences, and under which settings."""

    tally: Tally
    names: list[str]  # of the groups
    types: NDArray[np.int64]  # in each group: tokens of the vocabulary
    sentences: int
    skipped: int
    settings: dict[str, Any]
    signature: str

    def everything(self) -> dict[str, Any]:
        """As JSON."""
        edges = [0, *self.settings["edges"]]
        groups = [
            {"name": name, "from": low, "types": count, **(asdict(of) if of else {"tokens": 0})}
            for name, low, count, of in zip(
                self.names, edges, self.types.tolist(), self.tally.groups()
            )
        ]
        return {
            **self.settings,
            "sentences": self.sentences,
            "skipped": self.skipped,
            "signature": self.signature,
            "all": asdict(self.tally.total()),
            "harder_half": asdict(self.tally.harder_half()),
            "groups": groups,
        }


def agreement(
    task: Any,
    models: Mapping[str, LiveTeacher],
    subset: str = "valid",
    train_data: str | None = None,
    edges: list[int] | None = None,
    bins: int = BINS,
    too_long: str = "error",
    max_tokens: int = 4000,
) -> Agreement:
    """Measure how alike two models are on a subset.

    Args:
        task: of the binarised corpus.
        models: the teacher and the student, on the device where they are to compute, each by the
            flag and the name that errors give it.
        subset: whose references they read.
        train_data: folder(s) whose train set is counted for the groups (None: the task's).
        edges: smallest frequency of each group (None: 1, 10, 100, ...).
        bins: of the calibration error.
        too_long: error or skip: sentences that a model has no positions for.
        max_tokens: of a batch.

    Raises:
        InputError: there is nothing to measure, or a model cannot read it.
        FloatingPointError: probabilities are not finite.
    """
    data = task.cfg.data
    pairs = read_subset(task, data, subset)
    if pairs.tgt is None or len(pairs) == 0:
        lacks = "references" if pairs.tgt is None else "sentences"
        raise InputError(f"--subset {subset}: {data} holds no {lacks} of it")
    teacher, student = models.values()
    rows = readable(pairs, models, subset, skip=too_long == "skip")
    frequencies = target_frequencies(task, data, train_data)
    edges = edges or frequencies.decades()
    names, group_of = group_names(edges), frequencies.groups(edges)
    tally = Tally(len(names), bins)
    measure(
        teacher, student, pairs, rows, torch.from_numpy(group_of).to(teacher.device), tally,
        max_tokens,
    )  # fmt: skip
    if not tally.is_finite():
        raise FloatingPointError(f"probabilities of {' or '.join(models)} are not finite")
    paths = [name.partition(" ")[2] for name in models]
    settings = {
        "subset": subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "source_sha256": fingerprint_of_sources(pairs),
        "target_sha256": fingerprint(pairs.tgt, pairs.tgt_sizes),
        "dictionary_sha256": task.state.dictionary_sha256,
        "teacher": {"path": paths[0], "sha256": teacher.files},
        "student": {"path": paths[1], "sha256": student.files},
        "frequencies": {"counted": frequencies.source, "sha256": frequencies.sha256},
        "edges": edges,
        "bins": bins,
        "too_long": too_long,
        "precision": "fp16" if teacher.dtype == torch.float16 else "fp32",
        "device": teacher.device.type,
        "versions": versions(fairseq, torch, np),
    }
    types = np.bincount(group_of, minlength=len(names))
    skipped = len(pairs) - len(rows)
    signature = _signature(settings, teacher, student)
    return Agreement(tally, names, types, len(rows), skipped, settings, signature)


def _signature(settings: Mapping[str, Any], teacher: LiveTeacher, student: LiveTeacher) -> str:
    """All that could change a number, but for device and versions of others."""
    frequencies = settings["frequencies"]
    parts = {
        "subset": settings["subset"],
        "source": settings["source_sha256"][:8],
        "target": settings["target_sha256"][:8],
        "teacher": teacher.identity,
        "student": student.identity,
        "freq": f"{frequencies['counted']}.{frequencies['sha256'][:8]}",
        "edges": ",".join(map(str, settings["edges"])),
        "bins": settings["bins"],
        "too-long": settings["too_long"],
        "precision": settings["precision"],
        "v": __version__,
    }
    return "|".join(["agreement", *(f"{name}:{value}" for name, value in parts.items())])
