"""The index of a decoder's states, and whether states that are there serve."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.schema import read_json
from ..files.shards import OWN, is_complete, is_finished, subset_name
from ..files.whole import sha256, to_json, write_atomically
from ..host.states import key_layer
from ..stores.store import ENDING, Store
from ..teachers.cache import Keep, read_pairs, write_subset
from ..teachers.live import LiveTeacher
from ..version import versions
from .keys import Keys
from .search import AGAIN, LISTED, SMALL, build_index, check_index, faiss, index_factory

FREE = (*OWN, "max_tokens", "block_size", "precision", "device", "versions")  # no matter to keys


def write_datastore(
    task: Any, teacher: LiveTeacher, keep: Keep, folder: Path, subsets: Sequence[str],
    factory: str, flag: str, shard: int = 0, shards: int = 1,
) -> Iterator[str]:  # fmt: skip
    """Write the keys of each subset, and the index of the first once all of its shards are there.

    Args:
        task: of the binarised corpus.
        teacher: one model, on its device.
        keep: of features, and which.
        folder: of the datastore.
        subsets: the first is searched.
        factory: see :func:`index`.
        flag: what named the teacher, for errors.
        shard, shards: which part of each subset is written.

    Yields:
        What there is, in a line.

    Raises:
        InputError: several models, an index that does not fit, or what the parts refuse.
    """
    if len(teacher.models) > 1:
        raise InputError(f"{flag}: a datastore has the states of one model; name one")
    if factory not in ("exact", "auto"):
        width = key_layer(teacher.models[0], keep.keys).in_features
        check_index(factory, int(read_pairs(task, subsets[0]).tgt_sizes.sum()), width)
    for subset in subsets:
        yield write_subset(task, teacher, keep, folder, subset, flag, shard, shards, serves)
    yield index(task, folder, subsets[0], factory)


def serves(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether ``path`` holds these keys already, whatever batches and machine made them.

    Raises:
        InputError: it is finished and holds something else.
    """
    return is_finished(path, {name: settings[name] for name in settings if name not in FREE})


def index(task: Any, folder: Path, subset: str, factory: str = "auto") -> str:
    """Index the keys of ``subset`` once all of their shards are there.

    Args:
        task: of the binarised corpus.
        folder: of the datastore.
        subset: the one that is searched.
        factory: exact, auto, or a name for faiss' ``index_factory``.

    Returns:
        What there is, in a line.

    Raises:
        InputError: faiss does not know the factory, or it does not fit the keys.
    """
    name = subset_name(task, subset)
    if not is_complete(folder, name, ENDING):
        return f"{folder}: the index is built when the other shards are there"
    store = Store(folder, name, "datastore")
    keys = Keys(store)
    if factory == "auto":
        factory = "exact" if len(keys) <= SMALL else index_factory(len(keys), keys.width)
    settings = {
        "store": store.name,
        "index": factory,
        "shards": [manifest["sha256"] for _, manifest in store.shards],
        "versions": versions(faiss()),
    }
    path = folder / "index.faiss"
    listed = folder / "index.json"
    if listed.is_file() and _is_whole(listed, path, settings):
        return f"{listed} is complete: nothing to do"
    digest = None
    if factory != "exact":
        build_index(keys, factory, path)
        digest = sha256(path)
    write_atomically(listed, to_json({**settings, "sha256": digest}))
    return f"{listed}: {factory}, {len(keys)} keys of {keys.width} numbers"


def _is_whole(listed: Path, path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether this index is there, and its bytes are those that were written; damage is said."""
    try:
        known = read_json(listed, LISTED, AGAIN)
        if {**known, "sha256": None} != {**settings, "sha256": None}:
            return False
        if known["index"] == "exact" or (path.is_file() and sha256(path) == known["sha256"]):
            return True
        damage = f"{path} is not what {listed.name} says (sha256)"
    except InputError as error:
        damage = str(error).partition(";")[0]
    print(f"{damage}: the index is built again", file=sys.stderr)
    return False
