"""Log-probabilities of a fairseq model at the real tokens of a batch."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models import BaseFairseqModel, FairseqDecoder
from fairseq.models.transformer import TransformerModelBase
from torch import Tensor

from ..errors import InputError


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over the last axis, in float32 at least and in float64 where logits are.

    fairseq's own helper always rounds to float32; half-precision logits would make gradients of
    near-equal distributions wrong by several per cent.
    """
    return torch.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))


def log_probabilities(model: Any, net_output: Any, real: Tensor) -> Tensor:
    """What ``model`` gives the next token at each real position.

    Args:
        model: a fairseq model, wrapped for data parallelism or not.
        net_output: what its forward returned; its first entry is [B, T, V], or features [B, T, D]
            with an adaptive softmax.
        real: True where the target is no padding, [B, T].

    Returns:
        log-probabilities [N, V], N = ``real.sum()``, differentiable.
    """
    if is_plain_softmax(model):
        return log_softmax(net_output[0][real])
    adaptive = getattr(getattr(model, "decoder", None), "adaptive_softmax", None)
    if adaptive is not None:
        return _adaptive_log_probabilities(adaptive, net_output[0][real])
    dense: Tensor = model.get_normalized_probs(net_output, log_probs=True)  # [B, T, V]
    return dense[real]


def raw_logits(model: Any, net_output: Any, real: Tensor) -> Tensor:
    """What the softmax is taken of [N, V], in float32 at least; ``real`` as above.

    Raises:
        InputError: the model's output is no softmax of one layer's logits.
    """
    if not is_plain_softmax(model):
        raise InputError(
            f"{type(unwrapped(model)).__name__} has no logits (its probabilities "
            "are no plain softmax); distil its log-probabilities instead (--anneal-logits centred)"
        )
    return at_least_float32(net_output[0][real])


def likeliest(log_p: Tensor) -> Tensor:
    """The likeliest token of each row [n], the first of equals; numpy is ten times as fast."""
    if log_p.is_cpu:
        return torch.from_numpy(log_p.detach().numpy().argmax(-1))
    return log_p.max(-1).indices


def at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _adaptive_log_probabilities(adaptive: Any, features: Tensor) -> Tensor:
    """fairseq's ``AdaptiveSoftmax.get_log_prob``, which changes in place what autograd needs."""
    first = adaptive.cutoff[0]
    head = log_softmax(adaptive.head(features))  # [N, first + number of tails]
    tails = [
        head[:, first + i, None] + log_softmax(tail(features))
        for i, tail in enumerate(adaptive.tail)
    ]
    return torch.cat([head[:, :first], *tails], -1)


def is_plain_softmax(model: Any) -> bool:
    """Whether the model's probabilities are the softmax of its output, and nothing else."""
    model = unwrapped(model)
    decoder = getattr(model, "decoder", None)
    return (
        decoder is not None
        and getattr(decoder, "adaptive_softmax", None) is None
        and _inherits(model, "get_normalized_probs", TransformerModelBase, BaseFairseqModel)
        and _inherits(model, "get_normalized_probs_scriptable", BaseFairseqModel)
        and _inherits(decoder, "get_normalized_probs", FairseqDecoder)
        and _inherits(decoder, "get_normalized_probs_scriptable", FairseqDecoder)
    )


def unwrapped(model: Any) -> Any:
    """The model inside of all wrappers for data parallelism."""
    while isinstance(getattr(model, "module", None), torch.nn.Module):
        model = model.module
    return model


def _inherits(instance: Any, name: str, *owners: type) -> bool:
    return any(getattr(type(instance), name, None) is getattr(owner, name) for owner in owners)
