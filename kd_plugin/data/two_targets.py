"""A corpus with two targets for each source: the reference and what a teacher wrote."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset

from ..errors import InputError
from . import dictionaries

logger = logging.getLogger(__name__)


class TwoTargetDataset(BaseWrapperDataset):  # type: ignore[misc]
    """A fairseq language pair whose batches also hold the teacher's text.

    A batch is what the reference alone would give, plus ``sample["distilled"]``: a dictionary with
    ``target`` and ``prev_output_tokens`` [B, T'] and ``ntokens``, sentence by sentence in the same
    order. Batching, ordering and length limits see the longer of the two targets.
    """

    def __init__(self, reference: Any, distilled: Any):
        """Join two ``LanguagePairDataset`` with equal sources (see :func:`require_same_sources`).

        ``reference`` is taken over: its target sizes become the longer ones.
        """
        super().__init__(reference)
        self.distilled = distilled.tgt
        reference.tgt_sizes = np.maximum(reference.tgt_sizes, distilled.tgt_sizes)
        reference.sizes = np.vstack((reference.src_sizes, reference.tgt_sizes)).T

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.dataset[index], "distilled": self.distilled[index]}

    def collater(self, samples: Sequence[Any], pad_to_length: Any = None) -> dict[str, Any]:
        batch: dict[str, Any] = self.dataset.collater(samples, pad_to_length)
        if batch:
            swapped = [{**sample, "target": sample["distilled"]} for sample in samples]
            twin = self.dataset.collater(
                swapped, pad_to_length
            )  # the same sources, so the same order
            batch["distilled"] = {
                "target": twin["target"],
                "prev_output_tokens": twin["net_input"]["prev_output_tokens"],
                "ntokens": twin["ntokens"],
            }
        return batch


def with_second_target(
    reference: Any, load: Callable[[str], Any], folder: str, task: Any, split: str, flag: str
) -> Any:
    """``reference`` with the second target of each source; as it is where the split has none.

    A split to evaluate whose second targets are all the references has none: a binarised teacher
    corpus comes with the valid and test sets of the data.

    Args:
        reference: a ``LanguagePairDataset``.
        load: reads the same split of another folder.
        folder: the one with the second targets.
        task: its languages and dictionaries must be the folder's; its training set must have them.
        split: which it is.
        flag: what names the folder in errors.

    Raises:
        InputError: the folder is none, or its dictionaries or sources differ.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{flag} is no folder; name one with a binarised teacher corpus")
    try:
        distilled = load(folder)
    except FileNotFoundError:
        if split == task.cfg.train_subset:
            raise InputError(
                f"{flag} holds no {split} set of {task.cfg.source_lang}-"
                f"{task.cfg.target_lang}; name the folder of a binarised teacher corpus"
            ) from None
        logger.info(f"{flag} has no {split} set: it is evaluated on the reference alone")
        return reference
    dictionaries.require_of_folder(folder, dictionaries.languages(task), flag)
    require_same_sources(reference, distilled, split, flag)
    if split != task.cfg.train_subset and _first_difference(reference, distilled, "tgt") is None:
        logger.info(f"{flag} has the references of {split}: it is evaluated on these alone")
        return reference
    return TwoTargetDataset(reference, distilled)


def require_same_sources(reference: Any, distilled: Any, split: str, flag: str) -> None:
    """Check that two corpora translate the same sentences in the same order.

    Raises:
        InputError: another number of sentences, or a source that differs; the first one is named.
    """
    hint = "the teacher must translate this corpus, every line of it and in its order"
    if len(reference) != len(distilled):
        raise InputError(
            f"{flag} has {len(distilled)} sentences in {split} and the data has {len(reference)}; "
            f"{hint}"
        )
    if distilled.tgt is None:
        raise InputError(f"{flag} has no target side in {split}; {hint}")
    row = _first_difference(reference, distilled, "src")
    if row is not None:
        ours, theirs = (data.src_dict.string(data.src[row]) for data in (reference, distilled))
        raise InputError(
            f"{flag} has another source in line {row + 1} of {split}: {theirs!r} instead of "
            f"{ours!r}; {hint}"
        )


def _first_difference(reference: Any, distilled: Any, side: str) -> int | None:
    """The first row in which the sides ``src`` or ``tgt`` of two corpora of one length differ."""
    ours, theirs = (getattr(data, side) for data in (reference, distilled))
    sizes = (np.asarray(text.sizes) for text in (ours, theirs))
    other_length = np.flatnonzero(np.not_equal(*sizes))
    until = int(other_length[0]) if len(other_length) else len(reference)
    for row in range(until):
        if not torch.equal(ours[row], theirs[row]):
            return row
    return until if len(other_length) else None
