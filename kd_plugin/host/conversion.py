"""From a Transformer that fairseq loaded to CTranslate2's description of one.

Nothing is read from disk: the weights are those in memory, checked when they were loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from .convertible import activation, library


def converted(
    model: Any, source: Sequence[str], target: Sequence[str], eos: int, unk: int, bos: int,
    add_source_eos: bool = False,
) -> Any:  # fmt: skip
    """CTranslate2's specification of a model, ready to be saved.

    Args:
        model: one that :func:`.convertible.why_not_convertible` has nothing against.
        source, target: the names of all tokens, by id; no name stands twice in one of them.
        eos, unk, bos: ids in both vocabularies, whose names there are the same.
        add_source_eos: whether CTranslate2 ends sources itself.
    """
    ctranslate2 = library()
    specs = ctranslate2.specs.transformer_spec
    common = ctranslate2.specs.common_spec
    encoder, decoder = model.encoder, model.decoder

    def outline(make: Callable[..., Any], side: Any) -> Any:
        layer = side.layers[0]
        spec = make(
            len(side.layers),
            layer.self_attn.num_heads,
            pre_norm=layer.normalize_before,
            no_final_norm=side.layer_norm is None,
            activation=getattr(common.Activation, str(activation(layer))),
            layernorm_embedding=side.layernorm_embedding is not None,
        )
        embeddings = spec.embeddings
        _fill(embeddings[0] if isinstance(embeddings, list) else embeddings, side.embed_tokens)
        spec.scale_embeddings = float(side.embed_scale)
        spec.position_encodings.encodings = _positions(side)
        for name in ("layer_norm", "layernorm_embedding"):
            if getattr(side, name) is not None:
                _fill_norm(getattr(spec, name), getattr(side, name))
        for part, layer in zip(spec.layer, side.layers):
            _fill_layer(part, layer)
        return spec

    spec = specs.TransformerSpec(
        outline(specs.TransformerEncoderSpec, encoder),
        outline(specs.TransformerDecoderSpec, decoder),
    )
    _fill(spec.decoder.projection, decoder.output_projection)
    spec.register_source_vocabulary(list(source))
    spec.register_target_vocabulary(list(target))
    spec.config.eos_token = spec.config.decoder_start_token = target[eos]
    spec.config.unk_token, spec.config.bos_token = target[unk], target[bos]
    spec.config.add_source_eos = add_source_eos
    spec.config.layer_norm_epsilon = float(encoder.layers[0].final_layer_norm.eps)
    spec.validate()
    return spec


def _fill_layer(spec: Any, layer: Any) -> None:
    own = layer.self_attn
    _fill(spec.self_attention.linear[0], own.q_proj, own.k_proj, own.v_proj)
    _fill(spec.self_attention.linear[1], own.out_proj)
    _fill_norm(spec.self_attention.layer_norm, layer.self_attn_layer_norm)
    if hasattr(layer, "encoder_attn"):
        other = layer.encoder_attn
        _fill(spec.attention.linear[0], other.q_proj)
        _fill(spec.attention.linear[1], other.k_proj, other.v_proj)
        _fill(spec.attention.linear[2], other.out_proj)
        _fill_norm(spec.attention.layer_norm, layer.encoder_attn_layer_norm)
    _fill(spec.ffn.linear_0, layer.fc1)
    _fill(spec.ffn.linear_1, layer.fc2)
    _fill_norm(spec.ffn.layer_norm, layer.final_layer_norm)


def _fill(spec: Any, *layers: Any) -> None:
    """Linear layers of one input as one, or a table of embeddings."""
    spec.weight = _plain(*(layer.weight for layer in layers))
    biases = [getattr(layer, "bias", None) for layer in layers]
    if all(bias is not None for bias in biases):
        spec.bias = _plain(*biases)


def _fill_norm(spec: Any, norm: Any) -> None:
    spec.gamma, spec.beta = _plain(norm.weight), _plain(norm.bias)


def _positions(side: Any) -> Any:
    """Of the first token, the second, ...; fairseq counts from behind its padding."""
    positions = side.embed_positions
    table = positions.weight if isinstance(positions, nn.Embedding) else positions.weights
    return _plain(table[positions.padding_idx + 1 :])


def _plain(*parts: Any) -> Any:
    """Tensors below each other as an array of float32."""
    return torch.cat([part.detach().float().cpu() for part in parts]).numpy()
