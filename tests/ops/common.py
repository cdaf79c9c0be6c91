"""What the tests of the chunked loss share: targets of every kind, and random rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kd_plugin.ops import SoftTarget

KINDS = ("whole", "entries", "repeated", "uniform", "ghost")


def soft_target(kind: str, N: int, V: int, K: int, dtype: torch.dtype) -> SoftTarget:
    """Random targets, with the K likeliest tokens named unless they are whole."""
    log_q = (2 * torch.randn(N, V, dtype=torch.float64)).log_softmax(-1)
    if kind == "whole":
        return SoftTarget(log_q.exp().to(dtype), log_q.to(dtype))
    kept, ids = log_q.topk(K, -1)
    if kind == "repeated":
        ids = ids[:, torch.arange(K) // 2]  # each id twice
    rest = (1 - kept.exp().sum(-1)).clamp(min=1e-30).log()
    each = {"uniform": rest - math.log(max(V - K, 1)), "ghost": rest}.get(kind)
    each = None if each is None else each.to(dtype)
    return SoftTarget(kept.exp().to(dtype), kept.to(dtype), ids, each, kind == "ghost")


def rows_of(target: SoftTarget, start: int, stop: int) -> SoftTarget:
    """The same of some rows."""

    def cut(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[start:stop]

    q, log_q = target.q[start:stop], target.log_q[start:stop]
    return SoftTarget(q, log_q, cut(target.ids), cut(target.log_each), target.ghost)
