r"""The loss of ``softmax(features @ weight.T)`` without an array of all rows' logits.

Rows go through in chunks that stay in cache. The gradient of a chunk's logits overwrites them, and
two matrix products make of it the gradients of features and weight, all in the forward pass; the
backward pass multiplies by what comes in. Memory is ``N D + V D + chunk V`` in place of several
``N V``; the arithmetic is in float32 at least.

Shapes: N rows, D width, V vocabulary, n rows of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .terms import Term

# From log-probabilities [n, V] of rows start .. stop: the terms of their loss, as many each time,
# with a weight for each row [n], to which no gradient flows.
Terms = Callable[[Tensor, int, int], Sequence[tuple[Tensor, Term]]]

LEAST_ROWS = 128  # fewer make the matrix products slow
MOST_ROWS = 256  # that a wide matrix asks for
BYTES = {"cpu": 1 << 20}  # of a chunk's logits; what a core keeps near itself
OTHER_BYTES = 1 << 28


def linear_loss(
    features: Tensor, weight: Tensor, terms: Terms, rows: int | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Weighted terms of the rows of ``features``, chunk by chunk.

    Args:
        features: [N, D], N > 0.
        weight: the layer's matrix [V, D].
        terms: called once for each chunk, in order.
        rows: of a chunk; chosen from V where it is not given.

    Returns:
        the sum of all rows [1], differentiable by features and weight; or the loss of each row [N]
        where no gradient is wanted. And the values of each term [N], not weighted, without graph.
    """
    wanted = [x.requires_grad and torch.is_grad_enabled() for x in (features, weight)]
    with torch.no_grad():
        losses, values, gradients = _chunks(features, weight, terms, wanted, rows)
    if not any(wanted):
        return losses, values
    loss: Tensor = _Ready.apply(features, weight, losses.sum(0, keepdim=True), *gradients)  # type: ignore[no-untyped-call]
    return loss, values


def dense_loss(log_p: Tensor, terms: Terms) -> tuple[Tensor, list[Tensor]]:
    """The same from all rows' log-probabilities [N, V], by autograd: the loss of each row [N]."""
    weighted = terms(log_p, 0, len(log_p))
    values = [term.value(log_p) for _, term in weighted]
    return _weighed(weighted, values), [value.detach() for value in values]


@torch.no_grad()
def log_probability_rows(
    features: Tensor, weight: Tensor, rows: int | None = None
) -> Iterator[tuple[Tensor, int, int]]:
    """Each chunk's log-probabilities [n, V] with its first row and the one behind its last.

    They may be overwritten, and are by the next chunk.
    """
    exact = torch.promote_types(features.dtype, torch.float32)
    (N, D), V = features.shape, len(weight)
    rows = min(N, rows or chunk_rows(V, D, exact.itemsize, features.device.type))
    weight, z = weight.to(exact), torch.empty(rows, V, dtype=exact, device=features.device)
    for start in range(0, N, rows):
        chunk = features[start : start + rows].to(exact)
        with torch.autocast(features.device.type, enabled=False):
            logits = torch.mm(chunk, weight.t(), out=z[: len(chunk)])
        in_place = logits if logits.is_cpu else None
        yield torch.log_softmax(logits, -1, out=in_place), start, start + len(chunk)


def chunk_rows(vocabulary: int, width: int, itemsize: int, device: str) -> int:
    """How many rows go through at a time.

    Each chunk reads and writes the gradient of the whole matrix, so a wide one is worth as many
    rows as it has columns, though their logits no longer stay in cache.
    """
    near = BYTES.get(device, OTHER_BYTES) // (vocabulary * itemsize)
    return max(LEAST_ROWS, min(width, MOST_ROWS), near)


def _chunks(
    features: Tensor, weight: Tensor, terms: Terms, wanted: Sequence[bool], rows: int | None
) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
    """Each row's loss [N], each term's values [N], and the gradients of the sum that are wanted."""
    exact = torch.promote_types(features.dtype, torch.float32)
    by_features = torch.empty_like(features, dtype=exact) if wanted[0] else None
    by_weight = torch.empty_like(weight, dtype=exact) if wanted[1] else None
    matrix = weight.to(exact)
    losses, values = [], []
    for log_p, start, stop in log_probability_rows(features, matrix, rows):
        weighted = terms(log_p, start, stop)
        if any(wanted):
            found, gradient = _overwrite(log_p, weighted)
            with torch.autocast(features.device.type, enabled=False):
                if by_features is not None:
                    torch.mm(gradient, matrix, out=by_features[start:stop])
                if by_weight is not None:
                    chunk = features[start:stop].to(exact)
                    if start:
                        by_weight.addmm_(gradient.t(), chunk)
                    else:
                        torch.mm(gradient.t(), chunk, out=by_weight)
        else:
            found = [term.value(log_p) for _, term in weighted]
        values.append(torch.stack(found))  # [terms, n]
        losses.append(_weighed(weighted, found))
    return torch.cat(losses), list(torch.cat(values, 1)), [by_features, by_weight]


def _weighed(weighted: Sequence[tuple[Tensor, Term]], values: Sequence[Tensor]) -> Tensor:
    """The loss of each row [n]."""
    return torch.stack([w * value for (w, _), value in zip(weighted, values)]).sum(0)


def _overwrite(
    log_p: Tensor, weighted: Sequence[tuple[Tensor, Term]]
) -> tuple[list[Tensor], Tensor]:
    """The value of each term [n]; ``log_p`` becomes the gradient of their sum by the logits."""
    found = [term.value_and_slope(log_p) for _, term in weighted]
    mass = torch.zeros_like(log_p[:, :1])
    for (weight, _), (_, slope) in zip(weighted, found):
        if slope.mass is not None:
            mass += (weight * slope.mass).unsqueeze(-1)
    gradient = log_p.exp_().mul_(mass)
    for (weight, _), (_, slope) in zip(weighted, found):
        slope.subtract_from(gradient, weight)
    return [value for value, _ in found], gradient


class _Ready(torch.autograd.Function):
    """A loss whose gradients are known."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        loss: Tensor,
        by_features: Tensor | None,
        by_weight: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(by_features, by_weight)
        ctx.dtypes = features.dtype, weight.dtype
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> Any:
        ready = [
            None if gradient is None else (gradient * incoming).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes)
        ]
        return *ready, None, None, None
