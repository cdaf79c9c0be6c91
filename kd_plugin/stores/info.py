"""``fairseq-kd cache --info``: what a store holds, and how much of the teacher it kept."""

from __future__ import annotations

import math

import numpy as np

from .store import Store, index_path

STEP = 1 << 16  # records that are read at once


def describe(store: Store) -> str:
    """Kind, size, mass kept by each k, the teacher's entropy and perplexity, as lines of text."""
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
