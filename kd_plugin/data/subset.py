"""One subset of a binarised corpus, and what identifies its sentences."""

from __future__ import annotations

import hashlib
from typing import Any

from ..errors import InputError


def read_subset(task: Any, data: str, subset: str) -> Any:
    """The language pairs of ``--subset``, or one line that says that there are none."""
    try:
        return task.language_pairs(data, subset)
    except FileNotFoundError:
        pair = f"{task.cfg.source_lang}-{task.cfg.target_lang}"
        raise InputError(f"--subset {subset}: {data} holds no {subset} set of {pair}") from None


def fingerprint_of_sources(pairs: Any) -> str:
    """sha256 of all source token ids, sentence by sentence."""
    return fingerprint(pairs.src, pairs.src_sizes)


def fingerprint(sentences: Any, sizes: Any) -> str:
    """sha256 of the token ids of one side of a corpus, and of the sentences' ``sizes``."""
    digest = hashlib.sha256(sizes.astype("<i8").tobytes())
    for row in range(len(sizes)):
        digest.update(sentences[row].numpy().astype("<i4").tobytes())
    return digest.hexdigest()
