"""Is the teacher's vocabulary ours? Where nothing else proves it, its results have to.

Token ids mean nothing without the dictionary, and a fairseq checkpoint keeps none: a teacher whose
dictionary has the same size in another order trains a student on noise and nothing crashes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from fairseq.utils import split_paths
from torch import Tensor

from ..data.subset import language_pairs
from ..errors import InputError

SENTENCES_TO_JUDGE_BY = 64


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
            data = language_pairs(task, split_paths(task.cfg.data)[0], split)
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
