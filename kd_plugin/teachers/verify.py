"""``fairseq-kd cache --verify``: how far a store is from the teacher that it was written from.

Distances in the loss and in its gradient at the logits, for a student that is the teacher at
temperature 2 (a choice of ours: near, as students become, but not equal):

rounding
    the store against the same entries before they were rounded, in the distillation term alone and
    in a step of word_kd with its default weights; there more than 1e-3 fails.
truncation
    the store's rule for what it does not keep against the teacher's whole distribution, in the
    distillation term; printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batches import batches
from ..data.stored import StoredDataset
from ..errors import InputError
from ..host.device import moved
from ..host.probabilities import log_softmax
from . import Belief
from .kept import Kept, KeptBelief
from .live import LiveTargets, LiveTeacher
from .recording import SLICE, summary
from .stored import TeacherStore

BUDGET = 1e-3  # relative, of the loss and of the gradient's norm
SAMPLE = 1000  # sentences, evenly spaced


def verify(store: TeacherStore, pairs: Any, teacher: LiveTeacher) -> str:
    """Compare the store of a subset with its teacher; returns what was found, as lines of text.

    Args:
        store: of that subset.
        pairs: the ``LanguagePairDataset`` of the subset.
        teacher: where it is to compute.

    Raises:
        InputError: the store is of another teacher or text, is damaged, or exceeds the budget.
    """
    if store.kind not in ("beliefs", "features"):
        raise InputError(
            f"{store.flag} is a store of {store.kind}; --verify compares with a teacher"
        )
    if store.settings["teacher_sha256"] != teacher.files:
        raise InputError(
            f"{store.flag} was written with another teacher than --path; name that one"
        )
    subset = store.first
    data = StoredDataset(pairs, lambda _: subset, False, store.flag)
    for row in range(len(data)):
        data[row]  # finds damage and another text
    rows = np.flatnonzero(subset.index["tokens"])
    rows = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)]
    rounding, of_step, truncation = _Distance(), _Distance(), _Distance()
    tokens = 0
    sizes = np.maximum(pairs.src_sizes, pairs.tgt_sizes)
    for batch in batches(rows.tolist(), sizes, store.settings["max_tokens"]):
        tokens += _compare(store, data, teacher, batch.tolist(), rounding, of_step, truncation)
    found = (
        f"{store.flag}, {subset.name}: {len(pairs)} sentences are those of the data, and whole; "
        f"{tokens} tokens of {len(rows)} were compared\n"
        f"rounding, distillation term: {rounding}\nrounding, step of word_kd:   {of_step}\n"
        f"truncation:                  {truncation}"
    )
    if max(of_step.of_loss, of_step.of_gradient) > BUDGET:
        raise InputError(
            f"{found}\n{store.flag}: rounding costs more than {BUDGET:g}; write it with --dtype "
            "float32"
        )
    return found


class _Distance:
    """Relative distances of a loss and of a gradient, summed over tokens."""

    def __init__(self) -> None:
        self.sums = np.zeros(4)

    def add(self, ours: tuple[Tensor, Tensor], exact: tuple[Tensor, Tensor]) -> None:
        """Losses [n] and gradients [n, V] of some tokens."""
        parts = ((ours[0] - exact[0]).abs().sum(), exact[0].abs().sum(),
                 (ours[1] - exact[1]).square().sum(), exact[1].square().sum())  # fmt: skip
        self.sums += [float(part) for part in parts]

    @property
    def of_loss(self) -> float:
        return float(self.sums[0] / max(self.sums[1], 1e-30))

    @property
    def of_gradient(self) -> float:
        return float((self.sums[2] / max(self.sums[3], 1e-30)) ** 0.5)

    def __str__(self) -> str:
        return f"{self.of_loss:.2e} of the loss, {self.of_gradient:.2e} of its gradient"


def _compare(
    store: TeacherStore,
    data: StoredDataset,
    teacher: LiveTeacher,
    rows: Sequence[int],
    rounding: _Distance,
    of_step: _Distance,
    truncation: _Distance,
) -> int:
    sample = data.collater([data[row] for row in rows])
    sample = moved(sample, teacher.device)
    real = sample["target"].ne(data.pairs.tgt_dict.pad())
    y = sample["target"][real]  # [N]
    live = teacher.targets(sample["net_input"], real)
    stored = store.targets(sample["stored"], torch.float64)
    step = max(SLICE // store.settings["vocabulary"], 1)
    for start in range(0, len(y), step):
        stop = min(start + step, len(y))
        whole = live.rows(start, stop)
        log_p = log_softmax(whole.log_q.double() / 2)
        ours = _step(stored.rows(start, stop), log_p)
        exact = _step(whole, log_p)
        unrounded = _unrounded(store, live, start, stop, y)
        before = exact if unrounded is None else _step(unrounded, log_p)
        rounding.add(ours, before)
        gold = _step(_gold(log_p, y[start:stop]), log_p)
        of_step.add(*(((kd[0] + gold[0]) / 2, (kd[1] + gold[1]) / 2) for kd in (ours, before)))
        truncation.add(ours, exact)
    return len(y)


def _unrounded(
    store: TeacherStore, live: LiveTargets, start: int, stop: int, y: Tensor
) -> KeptBelief | None:
    """What the store would hold in full precision; None where that is the whole distribution."""
    if store.kind == "features":
        return None
    columns = summary(live.scores(start, stop).double(), y[start:stop], store.k)
    return KeptBelief(Kept.of(columns), store.settings["tail"], store.settings["vocabulary"])


def _gold(log_p: Tensor, y: Tensor) -> Belief:
    """All on the target tokens."""
    ids = y.unsqueeze(-1)
    return Belief(
        torch.ones_like(ids, dtype=log_p.dtype), torch.zeros_like(ids, dtype=log_p.dtype), ids
    )


def _step(belief: Any, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each token [n] and its gradient at the student's logits [n, V]."""
    with torch.enable_grad():
        z = log_p.clone().requires_grad_()
        loss: Tensor = belief.divergence(log_softmax(z))
        (gradient,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), gradient
