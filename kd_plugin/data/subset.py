"""One subset of a binarised corpus, and what identifies its sentences."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.data import LanguagePairDataset
from fairseq.data.data_utils import load_indexed_dataset
from fairseq.data.indexed_dataset import MMapIndexedDataset
from fairseq.tasks.translation import load_langpair_dataset
from fairseq.utils import split_paths
from numpy.typing import NDArray

from ..errors import InputError
from ..files.names import MIX_NOTE, PAIRS_NOTE
from . import dictionaries

CHUNK = 1 << 16  # sentences that are hashed at once


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


def tells_of_a_teacher(folder: str) -> bool:
    """Whether ``fairseq-kd`` binarise or mix, which read a teacher's text, wrote a data folder."""
    return any(os.path.exists(os.path.join(folder, note)) for note in (PAIRS_NOTE, MIX_NOTE))


def require_same_dictionaries(folder: str, task: Any, flag: str) -> None:
    """Refuse what is no binarised folder of a task's languages and dictionaries.

    Raises:
        InputError: it is so; ``flag`` says what named it.
    """
    require_binarised(folder, str(task.cfg.source_lang), str(task.cfg.target_lang))
    dictionaries.require_of_folder(folder, dictionaries.languages(task), f"{flag} {folder}")


def folder_for_each(folders: str, data: str, flag: str) -> list[str]:
    """The folders of a flag as they were typed, one for each folder of the data.

    Args:
        folders, data: separated by colons, as fairseq takes them.
        flag: with its value, for the message.

    Raises:
        InputError: another number of them.
    """
    found: list[str] = split_paths(folders)
    if len(found) != len(split_paths(data)):
        raise InputError(
            f"{flag} names {len(found)} folder(s) and the data {len(split_paths(data))}; give one "
            "for each, in the same order"
        )
    return found


def language_pairs(
    task: Any, folder: str, split: str, combine: bool = False
) -> LanguagePairDataset:
    """One split of one binarised folder, read as fairseq's translation ``task`` does.

    But for --upsample-primary -1, its default, which makes sizes negative there where a training
    set has several parts: here each part is read once.
    """
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
        upsample_primary=max(cfg.upsample_primary, 1),
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
        raise _missing(task, data, subset) from None


@dataclass(frozen=True)
class Sides:
    """Both sides of a subset, as a fairseq dataset of pairs names them.

    Such a dataset copies the lengths of all sentences for its batches; nothing is held here.
    """

    src: Any
    src_dict: Any
    tgt: Any  # None where there are sources alone
    tgt_dict: Any

    @property
    def src_sizes(self) -> Any:
        """Tokens of each source, end of sentence included [n]."""
        return self.src.sizes

    @property
    def tgt_sizes(self) -> Any:
        """Of each target; None where there are none."""
        return None if self.tgt is None else self.tgt.sizes

    def __len__(self) -> int:
        return len(self.src)


def read_sides(task: Any, data: str, subset: str) -> Sides:
    """The sentences of ``--subset``, to be read one by one.

    Raises:
        InputError: there are none, or not as many sources as targets.
    """
    sides = sides_of(task, data, subset)
    if sides is None:
        raise _missing(task, data, subset)
    return sides


def sides_of(task: Any, data: str, subset: str) -> Sides | None:
    """As :func:`read_sides`; None where there are none."""
    (source, src_dict), (target, tgt_dict) = dictionaries.languages(task)
    for pair in (f"{source}-{target}", f"{target}-{source}"):
        stem = os.path.join(data, f"{subset}.{pair}")
        if os.path.exists(f"{stem}.{source}.idx"):
            break
    else:
        return None
    src = load_indexed_dataset(f"{stem}.{source}", src_dict)
    tgt = load_indexed_dataset(f"{stem}.{target}", tgt_dict)
    if tgt is not None and len(src) != len(tgt):
        raise InputError(
            f"{stem}.* has {len(src)} sentences of {source} and {len(tgt)} of {target}; copy the "
            "folder again, or make it again"
        )
    return Sides(src, src_dict, tgt, tgt_dict)


def _missing(task: Any, data: str, subset: str) -> InputError:
    pair = f"{task.cfg.source_lang}-{task.cfg.target_lang}"
    names = sorted({file.name.partition(".")[0] for file in Path(data).glob(f"*.{pair}.*.idx")})
    there = ", ".join(names) or "none"
    return InputError(
        f"--subset {subset}: {data} holds no {subset} set of {pair}; the sets there are: {there}"
    )


def fingerprint_of_sources(pairs: Any) -> str:
    """sha256 of all source token ids, sentence by sentence."""
    return fingerprint(pairs.src, pairs.src_sizes)


def fingerprint(sentences: Any, sizes: Any, rows: Any = None) -> str:
    """sha256 of the token ids of one side of a corpus, and of the sentences' ``sizes``.

    ``rows`` are those of which the corpus would consist (default: all).
    """
    digest = hashlib.sha256()
    count = len(sizes) if rows is None else len(rows)
    parts = [slice(first, first + CHUNK) for first in range(0, count, CHUNK)]
    for part in parts:
        digest.update((sizes[part] if rows is None else sizes[rows[part]]).astype("<i8").tobytes())
    for part in parts:
        for tokens in _tokens(sentences, part) if rows is None else _rows(sentences, rows[part]):
            digest.update(tokens.astype("<i4").tobytes())
    return digest.hexdigest()


def _rows(sentences: Any, rows: Any) -> Iterator[NDArray[Any]]:
    """Token ids of each of some sentences."""
    return (sentences[row].numpy() for row in rows.tolist())


def _tokens(sentences: Any, part: slice) -> Iterator[NDArray[Any]]:
    """Token ids of neighbouring sentences: in one piece where they stand so in the file."""
    if type(sentences) is MMapIndexedDataset:
        index = sentences._index
        starts, sizes = index._pointers[part], index._sizes[part]
        ends = starts + sizes * np.int64(index._dtype_size)
        if np.array_equal(starts[1:], ends[:-1]) and (count := int(sizes.sum())):
            yield np.frombuffer(sentences._bin_buffer, index.dtype, count, int(starts[0]))
            return
    yield from _rows(sentences, np.arange(part.start, min(part.stop, len(sentences))))
