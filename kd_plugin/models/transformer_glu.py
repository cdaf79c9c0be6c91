"""``--arch transformer_glu``: fairseq's Transformer with gated feed-forwards (see gating.py).

``--encoder-ffn-embed-dim`` and ``--decoder-ffn-embed-dim`` state the width F of the plain
Transformer with as many parameters; the gated layers are two thirds as wide. All else is stock.

Nothing is added to the loss that would close gates: the source gives no such term.
"""

from __future__ import annotations

from typing import Any

from fairseq.distributed import fsdp_wrap
from fairseq.models import register_model, register_model_architecture
from fairseq.models.transformer import (
    TransformerConfig,
    TransformerDecoderBase,
    TransformerEncoderBase,
    TransformerModel,
    base_architecture,
)
from fairseq.modules.checkpoint_activations import checkpoint_wrapper
from fairseq.modules.quant_noise import quant_noise
from fairseq.modules.transformer_layer import (
    TransformerDecoderLayerBase,
    TransformerEncoderLayerBase,
)
from torch import nn

from ..errors import InputError
from .gating import GatedLinear, gated_width


class _GatedFeedForward:
    """The two layers of a feed-forward, which fairseq's layers ask for; ``plain`` is F."""

    def build_fc1(self, features: int, plain: int, noise: float, block: int) -> GatedLinear:
        width = gated_width(plain)
        value = super().build_fc1(features, width, noise, block)  # type: ignore[misc]
        gate = quant_noise(nn.Linear(features, width, bias=False), noise, block)
        return GatedLinear(value, gate, width)

    def build_fc2(self, plain: int, features: int, noise: float, block: int) -> Any:
        return super().build_fc2(gated_width(plain), features, noise, block)  # type: ignore[misc]


class GatedEncoderLayer(_GatedFeedForward, TransformerEncoderLayerBase):  # type: ignore[misc]
    pass


class GatedDecoderLayer(_GatedFeedForward, TransformerDecoderLayerBase):  # type: ignore[misc]
    pass


class GatedEncoder(TransformerEncoderBase):  # type: ignore[misc]
    def build_encoder_layer(self, cfg: Any) -> Any:
        return _wrapped(GatedEncoderLayer(cfg, return_fc=self.return_fc), cfg)


class GatedDecoder(TransformerDecoderBase):  # type: ignore[misc]
    def build_decoder_layer(self, cfg: Any, no_encoder_attn: bool = False) -> Any:
        return _wrapped(GatedDecoderLayer(cfg, no_encoder_attn), cfg)


def _wrapped(layer: Any, cfg: Any) -> Any:
    """For --checkpoint-activations and --ddp-backend fully_sharded, as fairseq's own layers are."""
    if not cfg.checkpoint_activations:
        return fsdp_wrap(layer, min_num_params=cfg.min_params_to_wrap)
    return fsdp_wrap(checkpoint_wrapper(layer, cfg.offload_activations), min_num_params=0)


@register_model("transformer_glu")
class TransformerGLU(TransformerModel):  # type: ignore[misc]
    """fairseq's Transformer; gates are the only nonlinearity of its feed-forwards."""

    @classmethod
    def build_encoder(cls, args: Any, src_dict: Any, embed_tokens: Any) -> GatedEncoder:
        cfg = TransformerConfig.from_namespace(args)
        _require_no_activation(cfg.activation_fn)
        return GatedEncoder(cfg, src_dict, embed_tokens)

    @classmethod
    def build_decoder(cls, args: Any, tgt_dict: Any, embed_tokens: Any) -> GatedDecoder:
        cfg = TransformerConfig.from_namespace(args)
        return GatedDecoder(cfg, tgt_dict, embed_tokens, no_encoder_attn=cfg.no_cross_attention)


@register_model_architecture("transformer_glu", "transformer_glu")  # type: ignore[untyped-decorator]
def transformer_glu(args: Any) -> None:
    """fairseq's base sizes; ``linear`` leaves what the gates return as it is."""
    args.activation_fn = getattr(args, "activation_fn", "linear")
    base_architecture(args)


def _require_no_activation(name: Any) -> None:
    if str(name) != "linear":
        raise InputError(
            f"--activation-fn {name} has no place in --arch transformer_glu, whose gates are its "
            "nonlinearity; leave the flag out"
        )
