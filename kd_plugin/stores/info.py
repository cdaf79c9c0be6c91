"""``fairseq-kd cache --info``: what a store holds, and what it says of the text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from .store import Store, index_path

STEP = 1 << 16  # records that are read at once
TEMPERATURES = (1.0, 10.0, 100.0)  # of squared distances; the papers have 10 and 100


def describe(store: Store, read_pairs: Callable[[], Any]) -> str:
    """Kind and size, and what the records say, as lines of text.

    Args:
        store: of beliefs (mass kept by each k, the teacher's entropy and perplexity), of neighbours
            (see :func:`_neighbours`), or of features, of which only the size is told.
        read_pairs: reads the sentences of the store, which only neighbours need.

    Raises:
        InputError: the sentences are others than the store's.
    """
    size = sum(path.stat().st_size + index_path(path).stat().st_size for path, _ in store.shards)
    left_out = sum(manifest["left_out"] for _, manifest in store.shards)
    lines = [
        f"{store.folder}, {store.name}: {store.settings['kind']}, {len(store)} sentences, "
        f"{store.tokens} tokens, {len(store.shards)} shard(s)",
        f"size: {size} bytes, {size / max(store.tokens, 1):.1f} a token "
        f"(record: {store.record.itemsize}), {store.settings['dtype']}",
    ]
    if left_out:
        lines.append(f"sentences without records, too long for the teacher: {left_out}")
    if store.settings["kind"] == "beliefs" and store.tokens:
        lines += _beliefs(store)
    if store.settings["kind"] == "neighbours" and store.tokens:
        lines += _neighbours(store, read_pairs())
    return "\n".join(lines)


def _beliefs(store: Store) -> list[str]:
    k = store.record["ids"].shape[0]
    mass, entropy, gold = np.zeros(k), 0.0, 0.0
    for part in store.maps:
        for start in range(0, len(part), STEP):
            records = part[start : start + STEP]
            kept = np.exp(records["log_q"].astype(np.float64))  # [n, k]
            mass += kept.cumsum(1).sum(0)
            entropy += float(records["entropy"].astype(np.float64).sum())
            gold += float(records["gold"].astype(np.float64).sum())
    mass /= store.tokens
    shown = sorted({*(1 << i for i in range(k.bit_length()) if 1 << i <= k), k})
    kept_by = ", ".join(f"{mass[j - 1]:.4f} by {j}" for j in shown)
    nll = -gold / store.tokens
    return [
        f"mean mass kept: {kept_by}; the others: --tail {store.settings['tail']}",
        f"teacher: entropy {entropy / store.tokens:.3f} nats a token, perplexity of the targets "
        f"{math.exp(nll):.2f}",
    ]


def _neighbours(store: Store, pairs: Any) -> list[str]:
    """How much a token's neighbours tell that its reference does not, by temperature.

    Mean weight of the nearest one (the token's own entry, unless that was left out), mean mass of
    the reference's token, and mean entropy of the mass by token.
    """
    told, at_zero = np.zeros((len(TEMPERATURES), 3)), 0
    for row in range(len(store)):
        source, target = pairs.src[row], pairs.tgt[row]
        if not store.is_text(row, source, target):
            raise InputError(
                f"{store.folder} was written for another sentence {row + 1} of {store.name} than "
                "the data's; give the data folder that it was written for"
            )
        records = store.read(row)
        if len(records) == 0:  # too long for the teacher
            continue
        ids, distance = records["ids"], records["distance"].astype(np.float64)
        at_zero += int((distance[:, 0] == 0).sum())
        same, right = ids[:, :, None] == ids[:, None, :], ids == target.numpy()[:, None]
        for told_at, temperature in zip(told, TEMPERATURES):
            weight = np.exp((distance[:, :1] - distance) / temperature)
            weight /= weight.sum(1, keepdims=True)
            mass = (same * weight[:, None, :]).sum(2)  # of each neighbour's token
            entropy = -(weight * np.log(mass, where=mass > 0, out=np.zeros_like(mass))).sum()
            told_at += weight[:, 0].sum(), (weight * right).sum(), entropy
    told /= store.tokens
    return [
        f"tokens whose nearest neighbour has distance 0: {at_zero / store.tokens:.3f}",
        *(
            f"--knn-temperature {temperature:g}: {nearest:.3f} of the weight on the nearest, "
            f"{mass:.3f} on the reference's token, entropy {entropy:.3f} nats a token"
            for temperature, (nearest, mass, entropy) in zip(TEMPERATURES, told)
        ),
    ]
