"""A corpus whose batches also hold what a store kept of each target token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fairseq.data import BaseWrapperDataset, ConcatDataset
from numpy.typing import NDArray

from ..errors import InputError
from ..stores.layout import as_bytes
from ..stores.store import Store
from .two_targets import TwoTargetDataset

AT_START = 10000  # sentences whose text is compared before training; each is when it is read


class StoredDataset(BaseWrapperDataset):  # type: ignore[misc]
    """A dataset whose batches have ``stored``: the N real target tokens' records, uint8 [N, bytes].

    It stands beside the target that the store was written from, ``sample["target"]`` or
    ``sample["distilled"]["target"]``, in the order of ``target[target != padding]``.
    """

    def __init__(self, data: Any, store_of: Callable[[int], Store], of_distilled: bool, flag: str):
        """Attach a store to each part of a concatenated split.

        Args:
            data: a ``LanguagePairDataset``, or a :class:`TwoTargetDataset`.
            store_of: gives the store of part 0, 1, ...
            of_distilled: whether the stores are of the teacher's text.
            flag: what names the store in errors.

        Raises:
            InputError: the stores are of another text; the first line that differs is named.
        """
        super().__init__(data)
        self.of_distilled = of_distilled and isinstance(data, TwoTargetDataset)
        self.pairs = data.dataset if isinstance(data, TwoTargetDataset) else data
        self.texts = data.distilled if self.of_distilled else self.pairs.tgt
        self.flag = flag
        self.part, self.row = _addresses(self.texts)
        self.stores = [store_of(part) for part in range(int(self.part.max(initial=0)) + 1)]
        self._require_same_number()
        self.kept = self._tokens()
        self._require_same_lengths()

    def __getitem__(self, index: int) -> dict[str, Any]:
        item: dict[str, Any] = self.dataset[index]
        target = item["distilled" if self.of_distilled else "target"]
        self._require_text(index, item["source"], target)
        return {**item, "stored": self.stores[self.part[index]].read(int(self.row[index]))}

    def collater(self, samples: Sequence[Any], pad_to_length: Any = None) -> dict[str, Any]:
        batch: dict[str, Any] = self.dataset.collater(samples, pad_to_length)
        if batch:
            of_id = {sample["id"]: sample["stored"] for sample in samples}
            records = np.concatenate([of_id[row] for row in batch["id"].tolist()])
            beside = batch["distilled"] if self.of_distilled else batch
            beside["stored"] = as_bytes(records)
        return batch

    def require_records(self, read: NDArray[np.bool_]) -> None:
        """Refuse sentences that will be read [n] and of which the stores have nothing.

        Raises:
            InputError: there are such; the first is named.
        """
        without = np.flatnonzero(read & (self.kept == 0))
        if len(without):
            index = int(without[0])
            raise InputError(
                f"{self.flag} has no records of line {self.row[index] + 1} of "
                f"{self.stores[self.part[index]].name}, which its teacher had no positions for "
                f"({len(without)} such line(s)); leave them out with --max-source-positions and "
                "--max-target-positions"
            )

    def _tokens(self) -> NDArray[np.int64]:
        """Records of each sentence [n]."""
        found = np.zeros(len(self.row), np.int64)
        for number, store in enumerate(self.stores):
            here = self.part == number
            found[here] = store.index["tokens"][self.row[here]]
        return found

    def _require_same_number(self) -> None:
        for number, store in enumerate(self.stores):
            sentences = int((self.row[self.part == number]).max(initial=-1)) + 1
            if len(store) != sentences:
                raise InputError(
                    f"{self.flag} has {len(store)} sentences of {store.name} and the data has "
                    f"{sentences}; write a store of this data"
                )

    def _require_same_lengths(self) -> None:
        sizes = np.asarray(self.texts.sizes)
        other = np.flatnonzero((self.kept != sizes) & (self.kept > 0))
        until = int(other[0]) + 1 if len(other) else len(sizes)
        for index in range(min(until, AT_START)):
            self._require_text(index, self.pairs.src[index], self.texts[index])
        if len(other):
            raise self._foreign(int(other[0]))

    def _require_text(self, index: int, source: Any, target: Any) -> None:
        store, row = self.stores[self.part[index]], int(self.row[index])
        if self.kept[index] and not store.is_text(row, source, target):
            raise self._foreign(index)

    def _foreign(self, index: int) -> InputError:
        store = self.stores[self.part[index]]
        return InputError(
            f"{self.flag}: line {self.row[index] + 1} of {store.name} is not the one that it was "
            f"written from; the data has {self.pairs.tgt_dict.string(self.texts[index])!r} there. "
            "Write a store of this data, in its order"
        )


def _addresses(texts: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each sentence: in which part of a concatenated set it is, and its line there."""
    if not isinstance(texts, ConcatDataset):
        rows = np.arange(len(texts))
        return np.zeros_like(rows), rows
    ends = np.array(texts.cumulative_sizes)
    index = np.arange(ends[-1])
    part = np.searchsorted(ends, index, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return part, (index - starts[part]) % np.array(texts.real_sizes)[part]
