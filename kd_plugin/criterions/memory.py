"""What a criterion remembers from one update to the next.

Batches leave notes while they are read; the notes become memory when the optimizer has stepped, in
the same order on all ranks. So a step that overflowed, an idle rank's dummy batch and an evaluation
leave nothing, and every rank can be restored from rank 0's checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from fairseq.distributed import utils as distributed
from torch import Tensor


class Memory:
    """Notes of an update's batches, and what they become; a subclass says the latter."""

    def __init__(self) -> None:
        self.notes: list[Tensor] = []
        self.counts = False  # whether the batch that is being read may leave a note

    def begin_update(self) -> None:
        """Drop the notes of an update that did not happen."""
        self.notes = []

    def begin_batch(self, counts: bool, device: torch.device) -> None:
        """A training batch comes, which ``counts`` unless it is a dummy."""
        self.counts = counts
        self.notes.append(torch.empty(0, dtype=torch.float64, device=device))

    def note(self, values: Tensor) -> None:
        """Leave the note of the batch that is being read, if it counts."""
        if self.counts:
            self.notes[-1] = values.detach().double().flatten()
            self.counts = False

    def end_update(self) -> None:
        """The optimizer has stepped: learn from the batches of all ranks."""
        for values in gather(self.notes):
            self.learn(values)
        self.begin_update()

    def learn(self, values: Tensor) -> None:
        """Take in one batch's note, flat and in float64; it may be empty."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Plain data and tensors, for the checkpoint."""
        raise NotImplementedError

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        raise NotImplementedError


class Queue(Memory):
    """The last ``capacity`` values, oldest first."""

    def __init__(self, capacity: int):
        super().__init__()
        self.capacity = capacity
        self.values = torch.empty(0, dtype=torch.float64)  # [n], n <= capacity

    def with_batch(self, values: Tensor) -> Tensor:
        """What the queue would hold after taking in ``values`` [n]."""
        values = values.detach().double()
        return torch.cat([self.values.to(values), values])[-self.capacity :]

    def learn(self, values: Tensor) -> None:
        self.values = self.with_batch(values)

    def state(self) -> dict[str, Any]:
        return {"values": self.values.cpu()}

    def restore(self, state: dict[str, Any]) -> None:
        self.values = state["values"][-self.capacity :]


class FirstMeans(Memory):
    """Means over the sentences of the first ``updates`` updates, frozen afterwards.

    A note is a table [B, columns].
    """

    def __init__(self, updates: int, columns: int):
        super().__init__()
        self.updates, self.seen, self.sentences = updates, 0, 0
        self.sums = torch.zeros(columns, dtype=torch.float64)

    @property
    def means(self) -> Tensor | None:
        """[columns] once they are frozen."""
        return self.sums / self.sentences if self.seen >= self.updates else None

    def end_update(self) -> None:
        if self.seen < self.updates:
            super().end_update()
            self.seen += 1

    def learn(self, values: Tensor) -> None:
        table = values.view(-1, len(self.sums))
        self.sums = self.sums.to(table.device) + table.sum(0)
        self.sentences += len(table)

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums.cpu(), "sentences": self.sentences, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.sums, self.sentences, self.seen = state["sums"], state["sentences"], state["seen"]


def gather(batches: Sequence[Tensor]) -> list[Tensor]:
    """The batches of all ranks, in the order in which one rank would have met them.

    Every rank gives the same number of flat tensors, which may differ in size and be empty.
    """
    if distributed.get_data_parallel_world_size() == 1:
        return list(batches)
    group = distributed.get_data_parallel_group()
    flat = torch.cat(list(batches))
    sizes = torch.tensor([len(batch) for batch in batches], device=flat.device)
    all_sizes = [part.tolist() for part in distributed.all_gather(sizes, group)]
    longest = max(map(sum, all_sizes))
    padded = torch.nn.functional.pad(flat, (0, longest - len(flat)))
    ranks = [
        everything[: sum(parts)].split(parts)
        for everything, parts in zip(distributed.all_gather(padded, group), all_sizes)
    ]
    return [batch for step in zip(*ranks) for batch in step]
