"""A teacher reads sentences, and what it believes becomes records."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.batches import batches
from ..errors import InputError
from ..files.whole import sha256, write_atomically
from ..host.device import moved
from ..host.projection import projects_features
from ..host.states import capture
from ..stores.layout import record_type
from ..stores.store import Done
from .live import LiveTargets, LiveTeacher
from .positions import readable

SLICE = 1 << 18  # scores that are held at once, so that they stay in a processor's cache ...
GPU_SLICE = 1 << 25  # ... and on a GPU, which should not wait for each of them
GROUP = 32  # scores of which first only the largest is looked at


class Recorder:
    """Makes the records of a subset's sentences, in batches of like length."""

    def __init__(
        self,
        teacher: LiveTeacher,
        pairs: Any,
        settings: Mapping[str, Any],
        device: torch.device,
        flag: str,
        subset: str,
    ):
        """Prepare for the sentences of ``pairs``, a ``LanguagePairDataset``.

        ``settings`` are those of the store; ``flag`` names the teacher in errors.

        Raises:
            InputError: the teacher has no positions for a sentence, and ``too_long`` is ``error``.
        """
        self.teacher, self.pairs, self.settings = teacher, pairs, settings
        self.device, self.flag = device, flag
        self.record = record_type(settings["record"])
        self.sizes = np.maximum(pairs.src_sizes, pairs.tgt_sizes)
        skip = settings["too_long"] == "skip"
        self.readable = set(readable(pairs, {flag: teacher}, subset, skip))

    @torch.no_grad()
    def records(self, rows: Sequence[int], done: Done) -> dict[int, NDArray[Any]]:
        """The records [tokens] of each sentence that the teacher can read; ``done`` is told."""
        found: dict[int, NDArray[Any]] = {}
        for batch in self.cut(rows):
            sample = self.pairs.collater([self.pairs[int(row)] for row in batch])
            ids = sample["id"].tolist()
            sample = moved(sample, self.device)
            real = sample["target"].ne(self.pairs.tgt_dict.pad())  # [B, T]
            y = sample["target"][real]  # [N]
            records = self._read(sample["net_input"], real, y)
            ends = real.sum(1).cumsum(0).tolist()
            found.update(zip(ids, np.split(records, ends[:-1])))
            done(len(ids), len(records))
        return found

    def cut(self, rows: Iterable[int]) -> list[NDArray[np.int64]]:
        """The batches in which the teacher reads sentences ``rows``."""
        rows = self.readable.intersection(rows)
        return batches(rows, self.sizes, int(self.settings["max_tokens"]))

    def _read(self, net_input: Mapping[str, Any], real: Tensor, y: Tensor) -> NDArray[Any]:
        keys = self.settings.get("keys", "output")
        if keys == "output":
            return self._of_batch(self.teacher.targets(net_input, real), y)
        latest, handle = capture(self.teacher.models[0], keys)
        with handle:
            self.teacher.targets(net_input, real)
        records = np.empty(len(y), self.record)
        self._fill(records, {"y": y.unsqueeze(1), "features0": latest[0][real]})
        return records

    def _of_batch(self, targets: LiveTargets, y: Tensor) -> NDArray[Any]:
        records = np.empty(len(y), self.record)
        if self.settings["kind"] == "features":
            self._fill(records, {"y": y.unsqueeze(1), **features_of(targets)})
            return records
        held = SLICE if y.device.type == "cpu" else GPU_SLICE
        step = max(held // self.settings["vocabulary"], 1)
        k = self.record["ids"].shape[0]
        for start in range(0, len(y), step):
            stop = min(start + step, len(y))
            columns = summary(targets.scores(start, stop), y[start:stop], k)
            self._fill(records[start:stop], columns)
        return records

    def _fill(self, records: NDArray[Any], columns: Mapping[str, Tensor]) -> None:
        for name, column in columns.items():
            values = column.cpu().numpy()
            with np.errstate(over="ignore"):  # what overflows is refused here
                records[name] = values
            if values.dtype.kind == "f" and not np.isfinite(records[name]).all():
                whole = np.isfinite(values).all()
                raise InputError(
                    f"{self.flag}: {name} "
                    + ("do not fit float16; give --dtype float32" if whole else
                       "are not finite; leave --fp16 out, or take another checkpoint")
                )  # fmt: skip


def summary(scores: Tensor, y: Tensor, k: int) -> dict[str, Tensor]:
    """The columns of kind ``beliefs``.

    Args:
        scores: log-probabilities [n, V] but for a constant of each row.
        y: the target tokens [n].
        k: entries to keep.

    Returns:
        each column [n, entries], see :mod:`.layout`.
    """
    best, ids = largest(scores, k)  # [n, k]
    top = best[:, :1]
    weights = (scores - top).exp_()  # [n, V]
    total = weights.sum(-1, keepdim=True)
    log_total = total.log()
    mean = torch.linalg.vecdot(weights, scores).unsqueeze(-1) / total - top
    kept = (best - top).exp_().sum(-1, keepdim=True)
    return {
        "ids": ids,
        "log_q": best - top - log_total,
        "rest": ((total - kept) / total).clamp_(min=0),
        "entropy": log_total - mean,
        "gold": scores.gather(-1, y.unsqueeze(-1)) - top - log_total,
    }


def largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of ``scores`` [n, V] and their places, largest first [n, k].

    They are among the groups of ``GROUP`` scores with the k largest maxima, which a processor finds
    several times faster than ``topk`` on all.
    """
    n, size = scores.shape
    groups = size // GROUP
    if groups < 4 * k:
        values, places = scores.topk(k, -1)
        return values, places
    grouped = scores[:, : groups * GROUP].view(n, groups, GROUP)
    best = grouped.amax(-1).topk(k, -1).indices.unsqueeze(-1)  # [n, k, 1]
    candidates = grouped.gather(1, best.expand(-1, -1, GROUP)).flatten(1)
    places = (best * GROUP + torch.arange(GROUP, device=scores.device)).flatten(1)
    rest = torch.arange(groups * GROUP, size, device=scores.device).expand(n, -1)
    candidates = torch.cat([candidates, scores[:, groups * GROUP :]], 1)
    values, found = candidates.topk(k, -1)
    return values, torch.cat([places, rest], 1).gather(1, found)


def features_of(targets: LiveTargets) -> dict[str, Tensor]:
    """The columns of kind ``features`` but for the tokens."""
    return {f"features{i}": member.values for i, member in enumerate(targets.members)}


def output_layers(teacher: LiveTeacher, folder: Path) -> list[dict[str, Any]]:
    """Write each member's output matrix [V, D], float32, into ``folder``; what the manifest says.

    Raises:
        InputError: a member's probabilities are not the softmax of one matrix product.
    """
    found = []
    folder.mkdir(parents=True, exist_ok=True)
    for model, digest in zip(teacher.models, teacher.files):
        matrix = getattr(getattr(model, "decoder", None), "output_projection", None)
        if not projects_features(model) or matrix is None or matrix.bias is not None:
            raise InputError(
                f"--features needs teachers whose output is one matrix product of the decoder's "
                f"states, as a Transformer's, and {type(model).__name__} is none; leave --features "
                "out, which keeps the likeliest tokens"
            )
        buffer = io.BytesIO()
        np.save(buffer, matrix.weight.detach().float().cpu().numpy())
        path = folder / f"output.{digest[:8]}.npy"
        if not path.exists() or path.read_bytes() != buffer.getvalue():
            write_atomically(path, buffer.getvalue())
        found.append({"file": path.name, "sha256": sha256(path), "width": matrix.weight.size(1)})
    return found
