"""One subset of a binarised corpus, and what identifies its sentences."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from fairseq.data import LanguagePairDataset
from fairseq.tasks.translation import load_langpair_dataset
from fairseq.utils import split_paths

from ..errors import InputError
from ..host.paths import absolute
from . import dictionaries


def require_binarised(folder: str, source: str | None, target: str | None) -> None:
    """Refuse what is no folder of ``fairseq-preprocess``, or one of other languages.

    Args:
        folder: of the data.
        source, target: codes where they are given; fairseq takes either direction.

    Raises:
        InputError: what is missing.
    """
    if not os.path.isdir(folder):
        raise InputError(f"the data folder {folder!r} does not exist; name a binarised corpus")
    names = [name.split(".") for name in os.listdir(folder) if name.endswith((".idx", ".bin"))]
    pairs = {tuple(parts[1].split("-")) for parts in names if len(parts) > 2 and "-" in parts[1]}
    if not pairs:
        raise InputError(
            f"the data folder {folder!r} holds no binarised corpus; make one with "
            "fairseq-preprocess, or ./scripts/prepare_data.sh"
        )
    for flag, code in (("--source-lang", source), ("--target-lang", target)):
        known = sorted({name for pair in pairs for name in pair})
        if code is not None and code not in known:
            raise InputError(f"{flag} {code} is no language of {folder}; give one of {known}")
    for code in (source, target) if source and target else sorted(pairs)[0]:
        if not os.path.isfile(os.path.join(folder, f"dict.{code}.txt")):
            raise InputError(
                f"{folder} lacks dict.{code}.txt, the dictionary that fairseq-preprocess wrote "
                "beside the data; put it back"
            )


def require_same_dictionaries(folder: str, task: Any, flag: str) -> None:
    """Refuse what is no binarised folder of a task's languages and dictionaries.

    Raises:
        InputError: it is so; ``flag`` says what named it.
    """
    require_binarised(folder, str(task.cfg.source_lang), str(task.cfg.target_lang))
    dictionaries.require_of_folder(folder, dictionaries.languages(task), f"{flag} {folder}")


def folder_for_each(folders: str, data: str, flag: str) -> list[str]:
    """The folders of a flag as absolute paths, one for each folder of the data.

    Args:
        folders, data: separated by colons, as fairseq takes them.
        flag: with its value, for the message.

    Raises:
        InputError: another number of them.
    """
    found = [absolute(folder) for folder in split_paths(folders)]
    if len(found) != len(split_paths(data)):
        raise InputError(
            f"{flag} names {len(found)} folder(s) and the data {len(split_paths(data))}; give one "
            "for each, in the same order"
        )
    return found


def language_pairs(
    task: Any, folder: str, split: str, combine: bool = False
) -> LanguagePairDataset:
    """One split of one binarised folder, read as fairseq's translation ``task`` does."""
    cfg = task.cfg
    return load_langpair_dataset(
        folder,
        split,
        cfg.source_lang,
        task.src_dict,
        cfg.target_lang,
        task.tgt_dict,
        combine=combine,
        dataset_impl=cfg.dataset_impl,
        upsample_primary=cfg.upsample_primary,
        left_pad_source=cfg.left_pad_source,
        left_pad_target=cfg.left_pad_target,
        max_source_positions=cfg.max_source_positions,
        max_target_positions=cfg.max_target_positions,
        load_alignments=cfg.load_alignments,
        truncate_source=cfg.truncate_source,
        num_buckets=cfg.num_batch_buckets,
        shuffle=split != "test",
        pad_to_multiple=cfg.required_seq_len_multiple,
    )


def read_subset(task: Any, data: str, subset: str) -> Any:
    """The language pairs of ``--subset``, or one line that says that there are none."""
    try:
        return language_pairs(task, data, subset)
    except FileNotFoundError:
        pair = f"{task.cfg.source_lang}-{task.cfg.target_lang}"
        raise InputError(f"--subset {subset}: {data} holds no {subset} set of {pair}") from None


def fingerprint_of_sources(pairs: Any) -> str:
    """sha256 of all source token ids, sentence by sentence."""
    return fingerprint(pairs.src, pairs.src_sizes)


def fingerprint(sentences: Any, sizes: Any, rows: Any = None) -> str:
    """sha256 of the token ids of one side of a corpus, and of the sentences' ``sizes``.

    ``rows`` are those of which the corpus would consist (default: all).
    """
    chosen = sizes if rows is None else sizes[rows]
    digest = hashlib.sha256(chosen.astype("<i8").tobytes())
    for row in range(len(sizes)) if rows is None else rows.tolist():
        digest.update(sentences[row].numpy().astype("<i4").tobytes())
    return digest.hexdigest()
