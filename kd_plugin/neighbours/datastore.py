"""``fairseq-kd datastore``: the states of a decoder at every target token, and an index of them.

The first subset is the datastore; the keys of the others are only asked about its neighbours, so
that validation has neighbours, too. A store that ``fairseq-kd cache --features`` wrote serves as it
is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..commands.flags import (
    add_data_flags,
    add_teacher_flags,
    add_too_long,
    add_work_flags,
    declare,
    require_positive,
)
from ..errors import InputError
from ..files.blocks import read_manifest
from ..files.shards import OWN, is_complete, subset_name
from ..files.whole import sha256, to_json, write_atomically
from ..host.device import device_of
from ..stores.store import ENDING, Store
from ..tasks.distillation import DistillationTask
from ..teachers.cache import write_subset
from ..teachers.checkpoints import load_teacher
from ..version import versions
from .keys import KEYS, Keys
from .search import SMALL, build_index, faiss, index_factory

EXAMPLE = """  fairseq-kd datastore data --path T.pt --subset train,valid --output datastore
  fairseq-kd neighbours datastore --subset train,valid --k 64 --output neighbours"""
FREE = (*OWN, "max_tokens", "block_size", "precision", "device", "versions")  # no matter to keys


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "store a teacher's decoder states and index them, for neighbours"
    parser = declare(commands, "datastore", summary, __doc__, EXAMPLE)
    add = parser.add_argument
    add_data_flags(parser, "the first subset is searched", subset="train,valid")
    add_teacher_flags(parser)
    add("--output", required=True, type=Path, help="folder of the datastore; run again to resume")
    add("--keys", choices=KEYS, default="output", help="(default: %(default)s)")
    add(
        "--index",
        default="auto",
        help="exact, auto (exact up to 32,768 keys), or a name for faiss' index_factory "
        "(default: %(default)s)",
    )
    add("--max-tokens", type=int, default=4000, help="tokens in a batch (default: %(default)s)")
    add_too_long(parser, "the teacher", "store nothing of them")
    add_work_flags(parser)
    parser.set_defaults(run=datastore, features=True, dtype="float16")


def datastore(given: argparse.Namespace) -> None:
    """Write the keys of each subset, and the index once all shards of the first are there."""
    require_positive(given, "max_tokens", "block_size")
    faiss()
    device = device_of(given)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    teacher = load_teacher(given.path, task, given.teacher_data, flag="--path")
    if len(teacher.models) > 1:
        raise InputError(f"--path {given.path}: a datastore has the states of one model; name one")
    teacher.to(device, torch.float16 if given.fp16 else torch.float32)
    subsets = given.subset.split(",")
    for subset in subsets:
        write_subset(given, task, teacher, subset, device, serves)
    name = subset_name(task, subsets[0])
    if is_complete(given.output, name, ENDING):
        _index(given, Store(given.output, name, "datastore"))
    else:
        print(f"{given.output}: the index is built when the other shards are there")


def serves(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether ``path`` holds these keys already, whatever batches and machine made them."""
    manifest = read_manifest(path)
    return manifest is not None and all(
        manifest["settings"].get(name) == value
        for name, value in settings.items()
        if name not in FREE
    )


def _index(given: argparse.Namespace, store: Store) -> None:
    keys = Keys(store)
    factory = given.index
    if factory == "auto":
        factory = "exact" if len(keys) <= SMALL else index_factory(len(keys), keys.width)
    settings = {
        "store": store.name,
        "index": factory,
        "shards": [manifest["sha256"] for _, manifest in store.shards],
        "versions": versions(faiss()),
    }
    path = given.output / "index.faiss"
    listed = given.output / "index.json"
    known = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else {}
    if {**known, "sha256": None} == {**settings, "sha256": None}:
        print(f"{listed} is complete: nothing to do")
        return
    digest = None
    if factory != "exact":
        build_index(keys, factory, path)
        digest = sha256(path)
    write_atomically(listed, to_json({**settings, "sha256": digest}))
    print(f"{listed}: {factory}, {len(keys)} keys of {keys.width} numbers")
