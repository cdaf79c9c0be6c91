"""What a store keeps of each target token: the kinds of stores and their records.

A record is packed and little-endian, so that a sentence is one contiguous slice of its file.

``beliefs``
    ``ids`` and ``log_q`` of the K likeliest tokens, likeliest first; ``rest``, the mass that is not
    kept; ``entropy`` of the whole distribution and ``gold``, the target token's log-probability;
    natural logarithms. 40 bytes for K = 8 with ``float16`` and a vocabulary up to 65,536, the
    sentence's entry in the index included where it has 5 tokens or more.
``features``
    ``y``, the target token, and ``features0`` ... , each member's decoder output, of which the
    member's output layer makes the whole distribution; or its keys for neighbours.
``neighbours``
    ``ids`` of the K nearest neighbours' tokens, nearest first, and ``distance``, their squared
    distances less the smallest of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..files.names import DTYPES, KEYS, TAILS
from ..files.schema import COUNT, FILE_NAME, SHA256, fault

FORMAT = 1
LARGEST = 1 << 20  # entries of a field
INDEX = np.dtype([("tokens", "<u2"), ("text", "<u4"), ("records", "<u4")])  # of each sentence

Fields = list[list[Any]]  # [name, numpy's type, entries], as the manifest has them

MATRIX = {"file": FILE_NAME, "sha256": SHA256, "width": range(1, LARGEST)}
OF_KIND = {
    "beliefs": {"tail": set(TAILS)},
    "features": {"output": [MATRIX], "keys": set(KEYS)},
    "neighbours": {"own": str},
}
SETTINGS = {
    "kind": set(OF_KIND),
    "dtype": set(DTYPES),
    "vocabulary": range(1, 1 << 32),
    "record": [[(str, int)]],
    "languages": [str],
    "special_ids": [COUNT],
    "dictionary_sha256": {str: SHA256},
    "teacher_sha256": [SHA256],
    "source_sha256": SHA256,
    "target_sha256": SHA256,
}
MANIFEST = {"settings": SETTINGS, "tokens": COUNT, "left_out": COUNT, "index_sha256": SHA256}


def id_type(vocabulary: int) -> str:
    """The smallest type for token ids."""
    return "<u2" if vocabulary <= 1 << 16 else "<u4"


def belief_fields(k: int, vocabulary: int, dtype: str) -> Fields:
    """A record of kind ``beliefs``."""
    number = DTYPES[dtype]
    kept: Fields = [["ids", id_type(vocabulary), k], ["log_q", number, k]]
    return kept + [[name, number, 1] for name in ("rest", "entropy", "gold")]


def feature_fields(widths: Sequence[int], vocabulary: int, dtype: str) -> Fields:
    """A record of kind ``features``; ``widths`` are the members' D."""
    features = [[f"features{i}", DTYPES[dtype], width] for i, width in enumerate(widths)]
    return [["y", id_type(vocabulary), 1], *features]


def neighbour_fields(k: int, vocabulary: int, dtype: str) -> Fields:
    """A record of kind ``neighbours``."""
    return [["ids", id_type(vocabulary), k], ["distance", DTYPES[dtype], k]]


def fault_of(manifest: Any) -> str | None:
    """What is wrong with a store's manifest, which is somebody's JSON; None where nothing is.

    A record is what the kind, the sizes, the vocabulary and the type of numbers make it: a type of
    numpy's that a file names is not believed.
    """
    settings = manifest["settings"]
    wrong = fault(manifest, MANIFEST) or fault(settings, OF_KIND[settings["kind"]], "its settings")
    if wrong:
        return wrong
    kind, vocabulary, dtype = (settings[name] for name in ("kind", "vocabulary", "dtype"))
    sizes = [size for field in settings["record"] for size in field[2:3]]
    if sizes and all(type(size) is int and 0 < size < LARGEST for size in sizes):
        rebuilt = {
            "beliefs": lambda: belief_fields(sizes[0], vocabulary, dtype),
            "features": lambda: feature_fields(sizes[1:], vocabulary, dtype),
            "neighbours": lambda: neighbour_fields(sizes[0], vocabulary, dtype),
        }[kind]()
        if rebuilt == settings["record"]:
            return None
    return f"its record is none of {kind}, {dtype}, of {vocabulary} tokens"


def record_type(fields: Fields) -> np.dtype[Any]:
    """The numpy type of a record."""
    return np.dtype([(name, kind, (size,)) for name, kind, size in fields])


def fingerprint(source: Any, target: Any) -> int:
    """Of a sentence pair's token ids (int64 tensors): CRC-32."""
    return zlib.crc32(target.numpy().tobytes(), zlib.crc32(source.numpy().tobytes()))


def as_bytes(records: NDArray[Any]) -> torch.Tensor:
    """Records [n] as uint8 [n, bytes]: bytes, so that nothing on the way rounds them."""
    raw = np.ascontiguousarray(records).view(np.uint8)
    return torch.from_numpy(raw.reshape(len(records), records.dtype.itemsize))


def checksum(records: NDArray[Any]) -> int:
    """Of a sentence's records: CRC-32."""
    return zlib.crc32(records.tobytes())
