"""What a teacher believes about every target token of a corpus, written as a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fairseq
import numpy as np
import torch

from ..data.subset import fingerprint, fingerprint_of_sources, read_subset
from ..errors import InputError
from ..files.shards import is_finished, shard_path, shard_rows, subset_name
from ..host.states import key_layer
from ..stores.layout import FORMAT, INDEX, belief_fields, feature_fields
from ..stores.store import ENDING, entries_of, write_store
from ..version import versions
from .live import LiveTeacher
from .recording import Recorder, output_layers
from .stored import special_ids


@dataclass(frozen=True)
class Keep:
    """What is kept of a teacher, and how the work is cut."""

    kind: str = "beliefs"  # or features
    top_k: int = 8  # of beliefs: tokens that are kept
    tail: str = "uniform"  # of beliefs: see .kept
    dtype: str = "float16"
    keys: str = "output"  # of features: see ..host.states
    max_tokens: int = 4000  # in a batch
    block_size: int = 2000  # sentences that a kill can cost
    too_long: str = "error"  # or skip: sentences that the teacher has no positions for

    def check(self, vocabulary: int) -> None:
        """Refuse to keep more tokens than there are.

        Raises:
            InputError: it is so.
        """
        if self.kind == "beliefs" and self.top_k > vocabulary:
            raise InputError(
                f"--top-k {self.top_k} is more than the {vocabulary} entries of the target "
                "dictionary; give at most these"
            )


def read_pairs(task: Any, subset: str) -> Any:
    """A subset with targets.

    Raises:
        InputError: there is none, a target is longer than a store's index can say, or one holds
            the padding symbol as a word, at which no model is trained.
    """
    data = task.cfg.data
    pairs = read_subset(task, data, subset)
    if pairs.tgt is None:
        raise InputError(f"--subset {subset}: {data} holds no targets of it")
    longest = int(pairs.tgt_sizes.max(initial=0))
    if longest > (most := np.iinfo(INDEX["tokens"]).max):
        raise InputError(
            f"--subset {subset} has a target of {longest} tokens, and a store takes {most} a "
            "sentence; leave such lines out of the data"
        )
    padding = task.tgt_dict.pad()
    padded = next((row for row in range(len(pairs)) if (pairs.tgt[row] == padding).any()), None)
    if padded is not None:
        raise InputError(
            f"--subset {subset}: the target of line {padded + 1} in {data} has the word "
            f"{task.tgt_dict[padding]}, which is read as padding and has no place in a store; take "
            "it out of the text and binarise that again"
        )
    return pairs


def write_subset(
    task: Any,
    teacher: LiveTeacher,
    keep: Keep,
    output: Path,
    subset: str,
    flag: str = "--path",
    shard: int = 0,
    shards: int = 1,
    is_done: Callable[[Path, Mapping[str, Any]], bool] = is_finished,
) -> str:
    """Write one shard of a subset's store, or go on with it, unless it is done.

    Args:
        task: of the binarised corpus.
        teacher: on the device and in the precision in which it is to compute.
        keep: what of it is kept.
        output: folder of the store.
        subset: whose targets the teacher is asked about.
        flag: what names the teacher in errors.
        shard: of which this is one of ``shards``, from 0.
        is_done: whether a file that is there serves.

    Returns:
        The file, in a line.

    Raises:
        InputError: the teacher cannot read a sentence; another process writes the file, or it was
            begun with other settings; no room.
    """
    pairs = read_pairs(task, subset)
    rows = shard_rows(len(pairs), shard, shards)
    settings = settings_of(task, teacher, keep, output, pairs, subset)
    settings |= {"shard": f"{shard}/{shards}", "rows": [rows.start, rows.stop]}
    path = shard_path(output, subset_name(task, subset), shard, shards, ENDING)
    if is_done(path, settings):
        return f"{path} is complete: nothing to do"
    recorder = Recorder(teacher, pairs, settings, teacher.device, flag, subset)
    write_store(path, settings, entries_of(pairs), keep.block_size, recorder.records)
    return str(path)


def settings_of(
    task: Any, teacher: LiveTeacher, keep: Keep, output: Path, pairs: Any, subset: str
) -> dict[str, Any]:
    """Everything that determines a shard's bytes, but for which shard it is."""
    vocabulary = len(task.tgt_dict)
    settings = {
        "format": FORMAT,
        "kind": keep.kind,
        "subset": subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "sentences": len(pairs),
        "source_sha256": fingerprint_of_sources(pairs),
        "target_sha256": fingerprint(pairs.tgt, pairs.tgt_sizes),
        "dictionary_sha256": task.state.dictionary_sha256,
        "vocabulary": vocabulary,
        "special_ids": special_ids(task.tgt_dict),
        "teacher_sha256": teacher.files,
        "dtype": keep.dtype,
        "precision": "fp16" if teacher.dtype == torch.float16 else "fp32",
        "max_tokens": keep.max_tokens,
        "block_size": keep.block_size,
        "too_long": keep.too_long,
        "device": teacher.device.type,
        "versions": versions(fairseq, torch),
    }
    if keep.kind == "features":
        layers = output_layers(teacher, output)
        settings |= {"output": layers, "keys": keep.keys}
        widths = [layer["width"] for layer in layers]
        if keep.keys != "output":
            widths = [key_layer(teacher.models[0], keep.keys).in_features]
        settings["record"] = feature_fields(widths, vocabulary, keep.dtype)
    else:
        settings["tail"] = keep.tail
        settings["record"] = belief_fields(keep.top_k, vocabulary, keep.dtype)
    return settings
