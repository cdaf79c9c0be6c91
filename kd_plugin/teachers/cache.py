"""``fairseq-kd cache``: what a teacher believes about every target token of a corpus, on disk.

Distillation from the store needs no teacher in memory, and no teacher's forward pass in each epoch.
docs/stores.md has the format, what the kept mass is, and where the defaults come from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fairseq
import numpy as np
import torch

from ..commands.flags import (
    add_data_flags,
    add_teacher_flags,
    add_too_long,
    add_work_flags,
    declare,
    require_positive,
)
from ..data.subset import fingerprint, fingerprint_of_sources, read_subset
from ..errors import InputError
from ..files.shards import is_finished, parse_shard, shard_path, shard_rows, subset_name
from ..host.device import device_of
from ..neighbours.keys import key_layer
from ..stores.info import describe
from ..stores.layout import DTYPES, FORMAT, INDEX, belief_fields, feature_fields
from ..stores.store import ENDING, Store, entries_of, write_store
from ..tasks.distillation import DistillationTask
from ..version import versions
from .checkpoints import load_teacher
from .kept import TAILS
from .live import LiveTeacher
from .recording import Recorder, output_layers
from .stored import TeacherStore, special_ids
from .verify import verify

EXAMPLE = """  fairseq-kd cache data --path T.pt --subset train,valid --top-k 8 --output store
  fairseq-train data --task distillation --criterion word_kd --teacher-store store ...
  what is in it, and how far from the teacher: ... --info, ... --verify"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "store what a teacher believes, to train without it"
    parser = declare(commands, "cache", summary, __doc__, EXAMPLE)
    add = parser.add_argument
    add_data_flags(parser, subset="train,valid")
    add_teacher_flags(parser, required=False)
    add("--output", required=True, type=Path, help="folder of the store; run again to resume")
    add("--top-k", type=int, default=8, help="tokens to keep (default: %(default)s)")
    add(
        "--tail",
        choices=TAILS,
        default="uniform",
        help="what training makes of the mass that is not kept (default: %(default)s)",
    )
    add("--features", action="store_true", help="keep decoder states: the whole distribution")
    add("--dtype", choices=DTYPES, default="float16", help="(default: %(default)s)")
    add("--max-tokens", type=int, default=4000, help="tokens in a batch (default: %(default)s)")
    add_too_long(parser, "the teacher", "store nothing of them")
    add("--info", action="store_true", help="write nothing; size, kept mass, entropy")
    add("--verify", action="store_true", help="write nothing; compare with the live teacher")
    add_work_flags(parser)
    parser.set_defaults(run=cache, keys="output")


def cache(given: argparse.Namespace) -> None:
    """Write, describe or verify the stores of one or several subsets."""
    require_positive(given, "top_k", "max_tokens", "block_size")
    parse_shard(given.shard)
    device = device_of(given)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    if not given.features and given.top_k > len(task.tgt_dict):
        raise InputError(
            f"--top-k {given.top_k} is more than the {len(task.tgt_dict)} entries of the target "
            "dictionary; give at most these"
        )
    if given.info:
        for subset in given.subset.split(","):
            print(describe(Store(given.output, subset_name(task, subset))))
        return
    if not given.path:
        raise InputError("--path is not given; name the teacher's checkpoint")
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    teacher.to(device, torch.float16 if given.fp16 else torch.float32)
    for subset in given.subset.split(","):
        if given.verify:
            store = TeacherStore([str(given.output)], task, subset, "--output")
            verify(store, read_pairs(task, given.data, subset), teacher)
        else:
            write_subset(given, task, teacher, subset, device)


def read_pairs(task: Any, data: str, subset: str) -> Any:
    """A subset with targets."""
    pairs = read_subset(task, data, subset)
    if pairs.tgt is None:
        raise InputError(f"--subset {subset}: {data} holds no targets of it")
    longest = int(pairs.tgt_sizes.max(initial=0))
    if longest > (most := np.iinfo(INDEX["tokens"]).max):
        raise InputError(
            f"--subset {subset} has a target of {longest} tokens, and a store takes {most} a "
            "sentence; leave such lines out of the data"
        )
    return pairs


def write_subset(
    given: argparse.Namespace,
    task: Any,
    teacher: LiveTeacher,
    subset: str,
    device: torch.device,
    is_done: Callable[[Path, Mapping[str, Any]], bool] = is_finished,
) -> None:
    """Write one shard of a subset's store, or go on with it, unless it is done."""
    shard, shards = parse_shard(given.shard)
    pairs = read_pairs(task, given.data, subset)
    rows = shard_rows(len(pairs), shard, shards)
    settings = settings_of(given, task, teacher, pairs, subset)
    settings |= {"shard": f"{shard}/{shards}", "rows": [rows.start, rows.stop]}
    path = shard_path(given.output, subset_name(task, subset), shard, shards, ENDING)
    if is_done(path, settings):
        print(f"{path} is complete: nothing to do")
        return
    recorder = Recorder(teacher, pairs, settings, device, f"--path {given.path}", subset)
    write_store(path, settings, entries_of(pairs), given.block_size, recorder.records)
    print(path)


def settings_of(
    given: argparse.Namespace, task: Any, teacher: LiveTeacher, pairs: Any, subset: str
) -> dict[str, Any]:
    """Everything that determines a shard's bytes, but for which shard it is."""
    vocabulary = len(task.tgt_dict)
    settings = {
        "format": FORMAT,
        "kind": "features" if given.features else "beliefs",
        "subset": subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "sentences": len(pairs),
        "source_sha256": fingerprint_of_sources(pairs),
        "target_sha256": fingerprint(pairs.tgt, pairs.tgt_sizes),
        "dictionary_sha256": task.state.dictionary_sha256,
        "vocabulary": vocabulary,
        "special_ids": special_ids(task.tgt_dict),
        "teacher_sha256": teacher.files,
        "dtype": given.dtype,
        "precision": "fp16" if given.fp16 else "fp32",
        "max_tokens": given.max_tokens,
        "block_size": given.block_size,
        "too_long": given.too_long,
        "device": "cuda" if next(teacher.models[0].parameters()).is_cuda else "cpu",
        "versions": versions(fairseq, torch),
    }
    if given.features:
        layers = output_layers(teacher, given.output)
        settings |= {"output": layers, "keys": given.keys}
        widths = [layer["width"] for layer in layers]
        if given.keys == "ffn-input":
            widths = [key_layer(teacher.models[0], given.keys).in_features]
        settings["record"] = feature_fields(widths, vocabulary, given.dtype)
    else:
        settings["tail"] = given.tail
        settings["record"] = belief_fields(given.top_k, vocabulary, given.dtype)
    return settings
