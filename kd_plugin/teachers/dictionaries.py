"""Is the teacher's vocabulary ours? A fairseq checkpoint keeps no dictionary, so proof is sought.

Token ids mean nothing without the dictionary: a teacher whose dictionary has the same size in
another order trains a student on noise and nothing crashes.
"""

from __future__ import annotations

import hashlib
import math
import os
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.utils import split_paths
from torch import Tensor

from ..errors import InputError

SENTENCES_TO_JUDGE_BY = 64


def fingerprint(dictionary: Any) -> str:
    """sha256 of the symbols in their order; counts do not matter."""
    return hashlib.sha256("\n".join(dictionary.symbols).encode()).hexdigest()


def load_dictionary(folder: str, language: str) -> Any | None:
    """``folder/dict.language.txt``, or None where there is none."""
    path = os.path.join(folder, f"dict.{language}.txt")
    return Dictionary.load(path) if os.path.isfile(path) else None


def require_equal(theirs: Any, ours: Any, whose: str) -> None:
    """Compare two dictionaries by content and order.

    Raises:
        InputError: they differ; ``whose`` starts the message, the first difference ends it.
    """
    if theirs.symbols == ours.symbols:
        return
    if len(theirs) != len(ours):
        difference = f"it has {len(theirs)} entries and this run's {len(ours)}"
    else:
        pairs = enumerate(zip(theirs.symbols, ours.symbols))
        row, (their, our) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        if sorted(theirs.symbols) == sorted(ours.symbols):
            their = f"{their!r} (the same entries in another order)"
        else:
            their = repr(their)
        difference = f"entry {row} is {our!r} here and there {their}"
    raise InputError(
        f"{whose} is not this run's: {difference}; binarise both corpora with one dictionary "
        "(fairseq-preprocess --srcdict/--tgtdict)"
    )


def require_better_than_unigram(teacher: Any, task: Any, flag: str, data_flag: str) -> None:
    """Judge by results where nothing proves that the vocabularies are the same.

    The teacher's mean NLL over the first sentences of valid (of train where there is no valid) must
    be below that of a unigram model with the dictionary's counts.

    Raises:
        InputError: it is not, or there are no sentences to judge by.
    """
    sample = _first_sentences(task, teacher.max_positions())
    if sample is None:
        raise InputError(
            f"{flag}: its checkpoint keeps no dictionary hash, its own data path is gone, and "
            f"there is no valid or train set to judge it by; give {data_flag} DIR, the folder "
            "with its dict.*.txt"
        )
    target = sample["target"]
    real = target.ne(task.target_dictionary.pad())
    belief = teacher.targets(sample["net_input"], real)
    y = target[real]
    model = belief.rows(0, len(belief)).nll(y).mean().item() / math.log(2)
    unigram = _unigram_nll(task.target_dictionary, y).mean().item() / math.log(2)
    if not model < unigram:
        raise InputError(
            f"{flag}: nothing shows that its dictionary is this run's (its checkpoint keeps no "
            f"hash of it and its own data path is gone), and on the first {len(target)} sentences "
            f"it needs {model:.2f} bits a token where word frequencies alone need {unigram:.2f}; "
            f"give {data_flag} DIR, the folder with its dict.*.txt"
        )


def _first_sentences(task: Any, positions: tuple[float, float]) -> Any | None:
    for split in ("valid", "train"):
        try:
            data = task.language_pairs(split_paths(task.cfg.data)[0], split)
        except FileNotFoundError:
            continue
        rows = range(min(len(data), SENTENCES_TO_JUDGE_BY))
        fits = [i for i in rows if all(n <= most for n, most in zip(data.size(i), positions))]
        if fits:
            return data.collater([data[i] for i in fits])
    return None


def _unigram_nll(dictionary: Any, y: Tensor) -> Tensor:
    counts = torch.tensor(dictionary.count, dtype=torch.float64) + 1
    eos = y.eq(dictionary.eos())
    counts[dictionary.eos()] = 0  # dictionaries do not count it: take its share from the sentences
    share = eos.double().mean()
    nll: Tensor = -torch.where(eos, share, (1 - share) * (counts / counts.sum())[y]).log()
    return nll
