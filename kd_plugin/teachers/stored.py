"""A teacher that is not in memory: a store of what it believes about the training data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.stored import StoredDataset
from ..data.subset import folder_for_each
from ..errors import InputError
from ..files.shards import is_begun, subset_name
from ..files.whole import sha256
from ..host.device import a_parameter
from ..host.paths import absolute
from ..stores.store import Store
from .kept import Kept, KeptBelief
from .live import LiveTargets, Member
from .retrieved import NeighbourTargets

logger = logging.getLogger(__name__)

WRITERS = "cache, or neighbours,"  # the commands that write such stores, for errors


class TeacherStore:
    """The stores of a run's subsets, in one folder for each folder of the data.

    They must be of one kind, of one teacher and of this run's dictionaries; what each batch reads
    of them is checked by :class:`kd_plugin.data.stored.StoredDataset`.
    """

    def __init__(
        self, folders: Sequence[str], task: Any, subset: str, flag: str = "--teacher-store"
    ):
        """Open the stores of ``subset`` and compare them with the task; errors name ``flag``.

        Raises:
            InputError: there is none, or it is not of this task's languages and dictionaries.
        """
        self.flag = f"{flag} {':'.join(folders)}"
        self.folders = [Path(absolute(folder)) for folder in folders]
        self.task = task
        self.first = self.open(0, subset)
        self.settings = self.first.settings
        self.kind = str(self.settings["kind"])
        self.record = self.first.record
        self.fields = {n: (kind, at) for n, (kind, at, *_) in (self.record.fields or {}).items()}
        self.layers: list[Any] = []
        if self.kind == "features":
            self.layers = [_output_layer(self.folders[0], each) for each in self.settings["output"]]

    @classmethod
    def of_task(cls, task: Any) -> TeacherStore:
        """The stores that a task's ``--teacher-store`` names, one for each folder of its data.

        Raises:
            InputError: another number of folders, or flags that change the text.
        """
        cfg = task.cfg
        flag = f"--teacher-store {cfg.teacher_store}"
        folders = folder_for_each(cfg.teacher_store, cfg.data, flag)
        if cfg.num_batch_buckets:
            raise InputError(
                f"--num-batch-buckets {cfg.num_batch_buckets} changes the sentences, and "
                "--teacher-store compares them; leave one of the two out"
            )
        return cls(folders, task, cfg.train_subset)

    @property
    def k(self) -> int:
        """Entries of a record; 0 for features."""
        return self.record["ids"].shape[0] if "ids" in (self.record.names or ()) else 0

    @property
    def identity(self) -> str:
        """What the run's signature says of the teacher."""
        detail = {
            "beliefs": f"top{self.k}.{self.settings.get('tail')}",
            "neighbours": f"knn{self.k}",
        }.get(self.kind, self.kind)
        teachers = "+".join(digest[:8] for digest in self.settings["teacher_sha256"])
        return f"store.{detail}.{teachers}"

    def open(self, folder: int, subset: str) -> Store:
        """The store of one subset that must be there."""
        store = Store(self.folders[folder], subset_name(self.task, subset), WRITERS)
        self._require_ours(store)
        return store

    def find(self, folder: int, subset: str) -> Store | None:
        """The store of a subset; None where nobody began one."""
        begun = is_begun(self.folders[folder], subset_name(self.task, subset))
        return self.open(folder, subset) if begun else None

    def attach(self, data: Any, folder: int, split: str, needed: bool, of_distilled: bool) -> Any:
        """``data`` with the records of ``split``; as it is where there are none and none is needed.

        Args:
            data: a ``LanguagePairDataset``, or a :class:`TwoTargetDataset`.
            folder: of the run's data folders, the one that ``data`` is of.
            split: its name.
            needed: whether it must have records.
            of_distilled: whether they are of the teacher's text.

        Raises:
            InputError: there are none though needed, or they are of another text.
        """
        if not needed and self.find(folder, split) is None:
            logger.info(f"{self.flag} has no {split} set: it is evaluated on gold metrics alone")
            return data

        def of_part(part: int) -> Store:
            return self.open(folder, f"{split}{part or ''}")  # as fairseq names them

        return StoredDataset(data, of_part, of_distilled, self.flag)

    def _require_ours(self, store: Store) -> None:
        require_dictionaries(store, self.task, self.flag)
        for name in ("kind", "teacher_sha256", "record", "tail", "own"):
            if hasattr(self, "settings"):  # of the subset that was opened first
                _require_equal(store, name, self.settings.get(name), self.flag)

    def follow(self, student: torch.nn.Module) -> None:
        """Move what is not in a batch (output layers) to the student's device and precision."""
        like = a_parameter(student)
        self.layers = [layer.to(like.device, like.dtype) for layer in self.layers]

    def targets(self, stored: Tensor, dtype: torch.dtype) -> Any:
        """The beliefs about the N tokens whose records are the bytes ``stored`` [N, bytes].

        Numbers become ``dtype``, float32 or float64.
        """
        columns = {name: self.column(stored, name, dtype) for name in self.record.names or ()}
        if self.kind == "features":
            members = [
                Member(columns[f"features{i}"].to(layer.weight.dtype), layer)
                for i, layer in enumerate(self.layers)
            ]
            return LiveTargets(members)
        if self.kind == "neighbours":
            return NeighbourTargets(columns["ids"], columns["distance"], len(self.task.tgt_dict))
        return KeptTargets(Kept.of(columns), self.settings["tail"], len(self.task.tgt_dict))

    def column(self, stored: Tensor, name: str, dtype: torch.dtype) -> Tensor:
        """One field of the records [N, entries]; token ids as int64."""
        kind, offset = self.fields[name]
        raw = stored[:, offset : offset + kind.itemsize]
        # Numbers of 4 bytes stand at multiples of 4; contiguous() leaves a single row where it is.
        raw = raw.clone(memory_format=torch.contiguous_format)
        if kind.base.kind == "u":  # torch computes with signed numbers
            signed = raw.view(torch.int16 if kind.base.itemsize == 2 else torch.int32).long()
            return signed & (1 << 8 * kind.base.itemsize) - 1
        return raw.view(torch.float16 if kind.base.itemsize == 2 else torch.float32).to(dtype)


@dataclass(frozen=True)
class KeptTargets:
    """Beliefs of kind ``beliefs`` about the N real tokens of a batch."""

    kept: Kept
    tail: str
    vocabulary: int

    def __len__(self) -> int:
        return len(self.kept.rest)

    def rows(self, start: int, stop: int, logits: bool = False) -> KeptBelief:
        kept = Kept(*(column[start:stop] for column in self.kept))
        return KeptBelief(kept, self.tail, self.vocabulary)


def require_dictionaries(store: Store, task: Any, flag: str) -> None:
    """Check that a store was written for this task's languages and dictionaries.

    Raises:
        InputError: the first setting that differs.
    """
    _require_equal(store, "languages", [task.cfg.source_lang, task.cfg.target_lang], flag)
    _require_equal(store, "dictionary_sha256", task.state.dictionary_sha256, flag)
    _require_equal(store, "vocabulary", len(task.tgt_dict), flag)
    _require_equal(store, "special_ids", special_ids(task.tgt_dict), flag)


def _require_equal(store: Store, name: str, ours: Any, flag: str) -> None:
    theirs = store.settings.get(name)
    if theirs != ours:
        raise InputError(
            f"{flag}: its store of {store.name} has {name} {theirs} and this run {ours}; write a "
            "store of this data with this run's dictionaries"
        )


def special_ids(dictionary: Any) -> list[int]:
    """Of the beginning and the end of a sentence, padding, and unknown words."""
    return [
        int(dictionary.bos()),
        int(dictionary.eos()),
        int(dictionary.pad()),
        int(dictionary.unk()),
    ]


def output_matrix(folder: Path, recorded: Mapping[str, Any]) -> Tensor:
    """A teacher's output matrix [V, D], which the store keeps beside its features.

    Raises:
        InputError: it is missing, or another one.
    """
    path = folder / recorded["file"]
    try:
        if path.is_file() and sha256(path) == recorded["sha256"]:
            matrix = np.lib.format.open_memmap(path, mode="r")
            width = matrix.shape[1] if matrix.ndim == 2 else 0
            if matrix.dtype == np.float32 and width == recorded["width"]:
                return torch.from_numpy(np.array(matrix))
    except (OSError, ValueError, EOFError):
        pass  # it is no array of numbers, or one that is larger than its file
    raise InputError(
        f"{path} is not what the store was written with; copy it again, or run the same command "
        "that wrote the store again, which redoes it"
    )


def _output_layer(folder: Path, recorded: Mapping[str, Any]) -> torch.nn.Linear:
    weight = output_matrix(folder, recorded)
    layer = torch.nn.Linear(weight.size(1), weight.size(0), bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    return layer
