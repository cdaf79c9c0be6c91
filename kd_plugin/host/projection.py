"""Models whose logits are one matrix product of features, so that not all need to be in memory."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.models.transformer import TransformerDecoderBase, TransformerModelBase
from torch import Tensor

from .probabilities import is_plain_softmax, unwrapped


def projects_features(model: Any) -> bool:
    """Whether logits are ``output_layer(features)``, so that padding need not be projected."""
    kind = type(model)
    forward = getattr(kind, "plain_forward", getattr(kind, "forward", None))
    return (
        forward is TransformerModelBase.forward
        and getattr(type(model.decoder), "forward", None) is TransformerDecoderBase.forward
        and is_plain_softmax(model)
    )


def why_not_a_product(model: Any) -> str | None:
    """What keeps a model's logits from being ``features @ output_matrix.T``; None if they are."""
    sharded = [name for name in _wrappers(model) if "FullySharded" in name]
    if sharded:
        return f"{sharded[0]} shards the output matrix"
    model = unwrapped(model)
    name, decoder = type(model).__name__, model.decoder if hasattr(model, "decoder") else None
    if getattr(decoder, "adaptive_softmax", None) is not None:
        return f"{name} has an adaptive softmax"
    if not hasattr(type(model), "decodes_by_hook") or not projects_features(model):
        return f"{name} makes its probabilities in a way of its own"
    layer: Any = model.decoder.output_projection
    own = type(model.decoder).output_layer is TransformerDecoderBase.output_layer
    if not own or type(layer) is not torch.nn.Linear or layer._forward_pre_hooks:
        return f"the output layer of {name} is no plain matrix"
    if getattr(layer, "bias", None) is not None:
        return f"the output layer of {name} has a bias"
    return None


def output_matrix(model: Any) -> Tensor:
    """The matrix [V, D] of a model's output layer, as what its forward computes.

    Called inside of ``model``'s forward, so that a wrapper for data parallelism finds it used.
    """
    weight: Tensor = unwrapped(model).decoder.output_projection.weight
    return weight.view_as(weight)


def _wrappers(model: Any) -> list[str]:
    names = []
    while isinstance(getattr(model, "module", None), torch.nn.Module):
        names.append(type(model).__name__)
        model = model.module
    return names
