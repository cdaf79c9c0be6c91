"""The nearest keys of a datastore: all of them compared, or an index of faiss asked first.

Either way a few more candidates than are wanted are ordered by their exact distances, which the
keys on disk give. The index holds codes of a few bytes a key, so a datastore may be larger than
memory.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.schema import FILE_NAME, SHA256, read_json
from ..files.whole import sha256
from ..stores.store import Store
from .keys import Keys, squared_distances

BLOCK = 1 << 16  # keys that are compared at once
CHUNK = 1 << 25  # numbers of candidates' keys that are held at once
SMALL = 1 << 15  # keys up to which an index is not worth its training
MEMORY = 1 << 33  # bytes of an index that is held in memory
POINTS = 64  # training keys for each centroid; faiss asks for 39 at least

LISTED = {"store": FILE_NAME, "index": str, "shards": [SHA256], "sha256": (SHA256, None)}
AGAIN = "run the same fairseq-kd datastore again, which mends it"

Found = tuple[NDArray[np.float32], NDArray[np.int64]]


def faiss() -> Any:
    """The library, or one line that says what to type."""
    try:
        import faiss
    except ImportError:
        raise InputError(
            "neighbours need faiss, which is not installed; type: pip install faiss-cpu"
        ) from None
    return faiss


def index_factory(keys: int, width: int) -> str:
    """faiss' name of the default index: inverted lists, and a byte for each number of a key.

    About sqrt(n) lists, each with enough keys to train on. Where the codes would take more than
    ``MEMORY``, fast-scan product codes of a quarter of a byte for each number, which find fewer of
    the true neighbours. Sizes are ours, chosen by the table of docs/stores.md.
    """
    lists = 2 ** max(0, round(math.log2(math.sqrt(keys))))
    while lists > 1 and lists * POINTS > keys:
        lists //= 2
    if keys * width <= MEMORY:
        return f"IVF{lists},SQ8"
    codes = width // 2 if width % 2 == 0 else width
    return f"IVF{lists},PQ{codes}x4fsr"


def check_index(factory: str, keys: int, width: int) -> None:
    """Refuse an index that cannot be made, before the keys are written.

    Args:
        factory: a name for faiss' ``index_factory``.
        keys: how many there will be.
        width: D of each.

    Raises:
        InputError: faiss does not know it, or it has more lists than there are keys.
    """
    inverted = faiss().try_extract_index_ivf(_index_of(factory, width))
    if inverted and inverted.nlist > keys:
        raise InputError(
            f"--index {factory} has {inverted.nlist} lists and there are {keys} keys; give fewer "
            "lists, exact or auto"
        )


def _index_of(factory: str, width: int) -> Any:
    try:
        return faiss().index_factory(width, factory)
    except RuntimeError as error:
        reason = str(error).split(":")[-1].strip()
        raise InputError(
            f"--index {factory} is no index that faiss can make of keys of {width} numbers "
            f"({reason}); give exact or auto, or another name"
        ) from None


def build_index(keys: Keys, factory: str, path: Path, seed: int = 1234) -> None:
    """Train an index on evenly spaced keys, add all, and write it to ``path``.

    Raises:
        InputError: faiss does not know the factory, or it does not fit the keys.
    """
    library, index = faiss(), _index_of(factory, keys.width)
    inverted = library.try_extract_index_ivf(index)
    lists = inverted.nlist if inverted else 1
    if inverted:
        inverted.cp.seed = seed
        inverted.cp.max_points_per_centroid = POINTS
    wanted = min(len(keys), max(lists * POINTS, 1 << 14))
    print(f"index: training {factory} on {wanted} keys", file=sys.stderr)
    index.train(keys.of(np.linspace(0, len(keys) - 1, wanted).astype(np.int64)))
    for start in range(0, len(keys), BLOCK):
        index.add(keys.rows(start, min(start + BLOCK, len(keys))))
        print(f"index: {min(start + BLOCK, len(keys))} of {len(keys)} keys", file=sys.stderr)
    part = path.with_name(path.name + ".part")
    library.write_index(index, str(part))
    os.replace(part, path)


class Search:
    """Finds the nearest keys of queries."""

    def __init__(
        self,
        keys: Keys,
        index: Path | None = None,
        digest: str = "",
        probes: int = 32,
        refine: int = 8,
        gpu: bool = False,
    ):
        """Search ``keys``, exactly or, with ``index``, among candidates of that file.

        Args:
            digest: sha256 of the index.
            probes: lists that are searched for each query.
            refine: candidates for each neighbour that is wanted.
            gpu: compare on a GPU, where all keys are compared and faiss has one.

        Raises:
            InputError: the index has changed, or faiss is missing.
        """
        self.keys, self.probes, self.refine = keys, probes, refine
        self.library = faiss()
        self.gpu = gpu and getattr(self.library, "get_num_gpus", lambda: 0)() > 0
        self.index: Any = None
        if index is not None:
            if not index.is_file() or sha256(index) != digest:
                raise InputError(f"{index} is not the index that was built; {AGAIN}")
            self.index = self.library.read_index(str(index))
            if (self.index.d, self.index.ntotal) != (keys.width, len(keys)):
                raise InputError(f"{index} is not of these keys; {AGAIN}")
            inverted = self.library.try_extract_index_ivf(self.index)
            if inverted:
                inverted.nprobe = min(probes, inverted.nlist)

    def nearest(self, queries: NDArray[np.float32], k: int) -> Found:
        """The k nearest keys of queries [n, D].

        Returns squared distances and records, nearest first [n, k]; of equally near keys the first
        come first.
        """
        candidates = self._candidates(queries, k)
        distance = np.empty((len(queries), k), np.float32)
        ids = np.empty((len(queries), k), np.int64)
        step = max(CHUNK // max(candidates.shape[1] * self.keys.width, 1), 1)
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            distance[rows], ids[rows] = self._refined(queries[rows], candidates[rows], k)
        return distance, ids

    def exact(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """The k nearest and some more, by comparing all keys [n, >= k]; not in exact order."""
        wanted = min(k + 8, len(self.keys))
        best = np.empty((len(queries), 0), np.float32)
        ids = np.empty((len(queries), 0), np.int64)
        for start in range(0, len(self.keys), BLOCK):
            block = self.keys.rows(start, min(start + BLOCK, len(self.keys)))
            distance, found = self._compare(queries, block, min(wanted, len(block)))
            best = np.concatenate([best, distance], 1)
            ids = np.concatenate([ids, found + start], 1)
            keep = np.argsort(best, 1, kind="stable")[:, :wanted]
            best, ids = np.take_along_axis(best, keep, 1), np.take_along_axis(ids, keep, 1)
        return ids

    def _compare(self, queries: NDArray[Any], block: NDArray[Any], k: int) -> Found:
        if self.gpu:
            resources = self.library.StandardGpuResources()
            distance, found = self.library.knn_gpu(resources, queries, block, k)
        else:
            distance, found = self.library.knn(queries, block, k)
        return distance, found

    def _candidates(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        if self.index is None:
            return self.exact(queries, k)
        wanted = min(k * self.refine, len(self.keys))
        ids: NDArray[np.int64] = self.index.search(queries, wanted)[1]
        short = (ids[:, :k] < 0).any(1)  # too few keys in the lists that were searched
        if short.any():
            ids[short, :] = -1
            exact = self.exact(queries[short], k)[:, :wanted]
            ids[short, : exact.shape[1]] = exact
        return ids

    def _refined(
        self, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int
    ) -> Found:
        candidates = np.sort(candidates, 1)  # so that of equal distances the first come first
        missing = candidates < 0
        distance = squared_distances(queries, self.keys.of(np.where(missing, 0, candidates)))
        distance[missing] = np.inf
        nearest = np.argsort(distance, 1, kind="stable")[:, :k]
        return (
            np.take_along_axis(distance, nearest, 1),
            np.take_along_axis(candidates, nearest, 1),
        )


def open_datastore(folder: Path, flag: str, **options: Any) -> tuple[Store, Search]:
    """The store that is searched, and its search; ``options`` are those of :class:`Search`.

    Raises:
        InputError: the folder holds no finished datastore.
    """
    listed = folder / "index.json"
    if not listed.is_file():
        raise InputError(
            f"{flag} {folder} holds no finished datastore; name the --output of fairseq-kd "
            "datastore"
        )
    known = read_json(listed, LISTED, AGAIN)
    store = Store(folder, known["store"], "datastore")
    if store.settings["kind"] != "features":
        raise InputError(
            f"{flag} {folder} holds {store.settings['kind']}, which nothing can be searched in; "
            "name the --output of fairseq-kd datastore"
        )
    if known["shards"] != [manifest["sha256"] for _, manifest in store.shards]:
        raise InputError(f"{listed} is of other keys; {AGAIN}")
    index = None if known["index"] == "exact" else folder / "index.faiss"
    return store, Search(Keys(store), index, known["sha256"] or "", **options)


def recall(search: Search, queries: NDArray[np.float32], k: int) -> float:
    """The share of the true k nearest that ``search`` finds."""
    ours = search.nearest(queries, k)[1]
    true = Search(search.keys, gpu=search.gpu).nearest(queries, k)[1]
    shared = [len(np.intersect1d(a, b)) for a, b in zip(ours, true)]
    return sum(shared) / (k * len(queries))
