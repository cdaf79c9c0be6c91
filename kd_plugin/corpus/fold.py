"""Folds of a training set, so that a teacher teaches sentences that it never saw.

A teacher asked about text that it was trained on is surer than it should be. Cross-fitting (Dao et
al., 2021) asks another one: the sentences are cut into K folds by a hash of their source, K
teachers are trained on all folds but one, each teaches the fold that it has not seen, and
:mod:`.merge` joins what they say. The folds are ours.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.subset import fingerprint, read_sides
from ..errors import InputError
from ..files.output import new_folder
from ..version import versions
from .folder import new_data_folder
from .origin import origin_of

SEEN, UNSEEN = "seen", "unseen"  # parts of a fold: what its teacher reads, and what it teaches


def cut(task: Any, folds: int, output: Path, subset: str = "train") -> list[int]:
    """Write ``output/I/seen`` and ``output/I/unseen``, data folders, for each fold I from 0.

    ``unseen`` has the pairs of fold I as its ``subset``, ``seen`` all others, in the data's order;
    dictionaries and the other subsets are those of the data. Equal sources are in the same fold.

    Returns:
        Pairs of each fold.

    Raises:
        InputError: a fold has none, the data has further parts of the subset, the folder exists.
    """
    data = str(task.cfg.data)
    pairs = read_sides(task, data, subset)
    require_one_part(data, subset)
    if pairs.tgt is None:
        raise InputError(f"--subset {subset}: {data} holds no targets of it to train a teacher on")
    fold = (source_hashes(pairs) % np.uint64(folds)).astype(np.int64)
    sizes = np.bincount(fold, minlength=folds).tolist()
    if not all(sizes):
        raise InputError(
            f"--folds {folds}: fold {sizes.index(0)} of the {len(pairs)} sentences of {subset} "
            "would be empty; give fewer, or another number for a folder that was cut already"
        )
    told = {
        "folds": folds, "sentences": sizes, "subset": subset,
        "sources_sha256": fingerprint(pairs.src, pairs.src_sizes),
        "targets_sha256": fingerprint(pairs.tgt, pairs.tgt_sizes), "versions": versions(torch),
    }  # fmt: skip
    data_origin = origin_of(Path(data), [pairs])
    with new_folder(output) as scratch:
        for number in range(folds):
            for part, rows in ((SEEN, fold != number), (UNSEEN, fold == number)):
                with new_data_folder(task, scratch / str(number) / part, subset) as folder:
                    for row in np.flatnonzero(rows).tolist():
                        folder.add(pairs.src[row], pairs.tgt[row])
                    folder.note("fold.json", {**told, "fold": number, "part": part})
                    flags = {"folds": folds, "subset": subset}
                    folder.made_by("fold", flags, data_origin, within=f"{number}/{part}")
    return [int(size) for size in sizes]


def require_one_part(data: str, subset: str) -> None:
    """Refuse a folder with ``train1`` and so on, which fairseq trains on, too.

    Raises:
        InputError: there is such a part.
    """
    if more := sorted(Path(data).glob(f"{subset}1.*.idx")):
        raise InputError(
            f"{data} holds {more[0].name.split('.')[0]} beside {subset}, and fairseq trains on "
            "both; join them first with fairseq-kd mix DATA --part gold"
        )


def source_hashes(pairs: Any) -> NDArray[np.uint64]:
    """64 bits of each source [n], the same on every machine.

    Of ten million sources two have the same by chance in one of 370,000 corpora.
    """
    found = np.empty(len(pairs), np.uint64)
    for row in range(len(pairs)):
        tokens = pairs.src[row].numpy().astype("<i4").tobytes()
        found[row] = int.from_bytes(hashlib.blake2b(tokens, digest_size=8).digest(), "little")
    return found
