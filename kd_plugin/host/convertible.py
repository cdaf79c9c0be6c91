"""Whether CTranslate2 is there, and whether it has a place for all that a model computes."""

from __future__ import annotations

import re
from typing import Any

from fairseq.models.transformer import (
    TransformerDecoder,
    TransformerDecoderBase,
    TransformerEncoder,
    TransformerEncoderBase,
    TransformerModelBase,
)
from fairseq.modules import LearnedPositionalEmbedding, SinusoidalPositionalEmbedding
from fairseq.modules.transformer_layer import (
    TransformerDecoderLayer,
    TransformerDecoderLayerBase,
    TransformerEncoderLayer,
    TransformerEncoderLayerBase,
)
from fairseq.utils import get_activation_fn
from torch import nn

from ..errors import InputError

OLDEST = (4, 8, 1)  # before it, batches of "tokens" could be larger than asked for
INSTALL = "type: pip install 'ctranslate2>=4.8.1'"
ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "gelu_accurate": "GELUTanh", "tanh": "Tanh"}
STOCK = {
    *(TransformerEncoder, TransformerEncoderBase, TransformerDecoder, TransformerDecoderBase),
    *(TransformerEncoderLayer, TransformerEncoderLayerBase),
    *(TransformerDecoderLayer, TransformerDecoderLayerBase),
}
NORM = r"(weight|bias)"
PLACES = re.compile(
    r"(encoder|decoder)\.("
    rf"embed_(tokens|positions)\.weight|(layernorm_embedding|layer_norm)\.{NORM}|"
    rf"layers\.\d+\.((self|encoder)_attn\.[qkv]_proj|(self|encoder)_attn\.out_proj|fc[12]|"
    rf"(self_attn|encoder_attn|final)_layer_norm)\.{NORM}|output_projection\.weight)"
)


def why_no_library() -> tuple[str, str] | None:
    """Why CTranslate2 cannot be imported, and the way out; None if it can."""
    try:
        import ctranslate2
    except ImportError:
        return "is not installed", INSTALL
    version = tuple(int(part) for part in re.findall(r"\d+", ctranslate2.__version__)[:3])
    return (f"{ctranslate2.__version__} is too old", INSTALL) if version < OLDEST else None


def library() -> Any:
    """CTranslate2.

    Raises:
        InputError: it is not installed, or too old.
    """
    if reason := why_no_library():
        raise InputError(f"CTranslate2 {reason[0]}; {reason[1]}")
    import ctranslate2

    return ctranslate2


def why_not_convertible(model: Any) -> str | None:
    """What of a model CTranslate2 has no place for; None where it has one for everything."""
    name = type(model).__name__
    if not (isinstance(model, TransformerModelBase) and type(model).__module__[:8] == "fairseq."):
        return f"the architecture {name}"
    encoder, decoder = model.encoder, model.decoder
    if getattr(decoder, "adaptive_softmax", None) is not None:
        return "an adaptive softmax (--adaptive-softmax-cutoff)"
    layers = [*encoder.layers, *decoder.layers]
    others = [part for part in (encoder, decoder, *layers) if type(part) not in STOCK]
    if others or not (encoder.layers and decoder.layers):
        return f"the architecture {name}" + (f" with {type(others[0]).__name__}" if others else "")
    for side in (encoder, decoder):
        if type(side.embed_tokens) is not nn.Embedding:
            return f"embeddings of the kind {type(side.embed_tokens).__name__}"
        if side.embed_positions is None:
            return "a model without positions (--no-token-positional-embeddings)"
        known = (LearnedPositionalEmbedding, SinusoidalPositionalEmbedding)
        if not isinstance(side.embed_positions, known):
            return f"positions of the kind {type(side.embed_positions).__name__}"
    if any(layer.encoder_attn is None for layer in decoder.layers):
        return "a decoder without attention to the source (--no-cross-attention)"
    if decoder.cross_self_attention:
        return "attention to source and target together (--cross-self-attention)"
    if any(activation(layer) is None for layer in layers):
        return f"the activation {getattr(layers[0].activation_fn, '__name__', 'of this model')}"
    return next(
        (f"the weight {n}" for n, _ in model.named_parameters() if not PLACES.fullmatch(n)), None
    )


def activation(layer: Any) -> str | None:
    """CTranslate2's name of a layer's activation."""
    functions = {name: get_activation_fn(name) for name in ACTIVATIONS}
    return next((ACTIVATIONS[n] for n, f in functions.items() if f is layer.activation_fn), None)
