"""How often each target token stands in a training set, and groups of tokens by that.

The groups are ours: decades of frequency unless other edges are given, and a group of their own for
tokens that were never seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from fairseq.utils import split_paths
from numpy.typing import NDArray
from tqdm import tqdm

from ..data import dictionaries
from ..data.subset import language_pairs
from ..errors import InputError

BLOCK = 4096  # sentences counted at once

Counts = NDArray[np.int64]  # [V]


@dataclass(frozen=True)
class Frequencies:
    """Counts of the V target tokens, and what was counted: ``train`` or ``dictionary``."""

    counts: Counts
    source: str

    @property
    def sha256(self) -> str:
        """The hash of the counts."""
        return hashlib.sha256(self.counts.astype("<i8").tobytes()).hexdigest()

    def decades(self) -> list[int]:
        """1, 10, 100, ... up to the largest count."""
        largest = max(int(self.counts.max()), 1)
        return [10**power for power in range(len(str(largest)))]

    def groups(self, edges: list[int]) -> Counts:
        """The group of each token [V], from 0: never seen, then one that begins at each edge."""
        return np.searchsorted(edges, self.counts, side="right").astype(np.int64)


def parse_edges(text: str) -> list[int]:
    """The smallest frequency of each group of ``--edges``; the first is 1 whether given or not.

    Raises:
        InputError: they are no whole numbers that rise from 1 or more.
    """
    parts = [part.strip() for part in text.split(",")]
    edges = [int(part) for part in parts if part.isdecimal() and part.isascii()]
    if len(edges) < len(parts) or edges[0] < 1 or edges != sorted(set(edges)):
        raise InputError(
            f"--edges {text} are no rising frequencies; give whole numbers from 1, such as 1,10,100"
        )
    return edges if edges[0] == 1 else [1, *edges]


def group_names(edges: list[int]) -> list[str]:
    """What the table calls the groups; ``edges`` begin with 1."""
    last = [f"{edges[-1]} and more"]
    between = [f"{low}-{high - 1}" if high - low > 1 else str(low) for low, high in pairwise(edges)]
    return ["0", *between, *last]


def target_frequencies(task: Any, data: str, train_data: str | None) -> Frequencies:
    """Count the targets of a training set.

    Args:
        task: the task, whose target dictionary the counts belong to.
        data: the folder of the subset; its train set is counted where there is no other, and its
            dictionary's counts are taken where it has none.
        train_data: folder(s) whose train set is to be counted, separated by colons.

    Raises:
        InputError: there is nothing to count, or other dictionaries.
    """
    flag = f"--train-data {train_data}"
    if not train_data:
        return _count(task, [data]) or _of_dictionary(task, data)
    folders = split_paths(train_data)
    for folder in folders:
        dictionaries.require_of_folder(folder, dictionaries.languages(task)[1:], flag)
    counted = _count(task, folders)
    if counted is None:
        raise InputError(f"{flag} holds no train set with targets; name a binarised corpus")
    return counted


def _count(task: Any, folders: list[str]) -> Frequencies | None:
    counts = np.zeros(len(task.target_dictionary), dtype=np.int64)
    for folder in folders:
        try:
            targets = language_pairs(task, folder, "train", combine=True).tgt
        except FileNotFoundError:
            return None
        if targets is None:
            return None
        for start in tqdm(range(0, len(targets), BLOCK), desc="counting", leave=False):
            rows = range(start, min(start + BLOCK, len(targets)))
            tokens = torch.cat([targets[row] for row in rows]).numpy()
            counts += np.bincount(tokens, minlength=len(counts))
    return Frequencies(counts, "train")


def _of_dictionary(task: Any, data: str) -> Frequencies:
    words = task.target_dictionary
    counts = np.array(words.count, dtype=np.int64)
    counts[: words.nspecial] = 0  # dictionaries give them 1
    if len(set(counts[counts > 0].tolist())) < 2:
        raise InputError(
            f"{data} holds no train set to count tokens in, and its dictionary has no frequencies; "
            "give --train-data DIR, the folder of the training set"
        )
    counts[words.eos()] = counts.max()  # one a sentence, which dictionaries do not count
    return Frequencies(counts, "dictionary")
