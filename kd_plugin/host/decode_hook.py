"""One more keyword on the student's forward: encode once, then decode as the caller likes.

A criterion that called ``model.encoder`` and ``model.decoder`` itself would bypass the wrapper for
data parallelism, and the stock forward returns no encoder output. So the student's class is
replaced by a generated subclass; parameters, state dict and checkpoint stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fairseq.models import FairseqEncoderDecoderModel
from fairseq.models.lstm import LSTMEncoder
from fairseq.models.transformer import TransformerEncoderBase

from ..errors import InputError
from .probabilities import unwrapped

Decoder = Callable[..., Any]
Decode = Callable[[Any, Decoder], Any]


def add_decode_hook(model: Any) -> Any:
    """Let ``model(src_tokens, src_lengths, ..., decode=fn)`` return ``fn(encoder_out, decoder)``.

    ``decoder(prev_output_tokens, **options)`` runs the model's decoder on that encoder output and
    may be called any number of times. A model without encoder and decoder is returned as it is.
    """
    if isinstance(model, FairseqEncoderDecoderModel):
        kind: Any = type(model)
        model.__class__ = _with_hook(kind)
    return model


def require_decode_hook(model: Any, flag: str) -> None:
    """Refuse a student that cannot encode once and decode several times.

    Raises:
        InputError: ``model`` has no separate encoder and decoder; ``flag`` is what asked for it.
    """
    model = unwrapped(model)
    if not hasattr(type(model), "decodes_by_hook"):
        raise InputError(
            f"{flag} decodes several times from one encoding, and {type(model).__name__} has no "
            "separate encoder and decoder; choose an encoder-decoder --arch such as transformer"
        )


def width_of_states(model: Any) -> int | None:
    """D of encoder states [S, B, D]; None for an encoder whose output has another form."""
    encoder = getattr(model, "encoder", None)
    if isinstance(encoder, LSTMEncoder):
        return int(encoder.output_units)
    if isinstance(encoder, TransformerEncoderBase):
        return int(encoder.embed_tokens.embedding_dim)
    return None


@functools.cache
def _with_hook(base: Any) -> Any:
    if hasattr(base, "decodes_by_hook"):
        return base

    def forward(self: Any, *inputs: Any, decode: Decode | None = None, **keywords: Any) -> Any:
        if decode is None:
            return base.forward(self, *inputs, **keywords)
        return _decode(self, decode, *inputs, **keywords)

    members = {"forward": forward, "decodes_by_hook": True, "plain_forward": base.forward}
    members["__module__"] = base.__module__
    return type(base.__name__, (base,), members)


def _decode(
    model: Any, decode: Decode, src_tokens: Any, src_lengths: Any, *_: Any, **__: Any
) -> Any:
    encoder_out = model.encoder(src_tokens, src_lengths=src_lengths)
    decoder = functools.partial(model.decoder, encoder_out=encoder_out, src_lengths=src_lengths)
    return decode(encoder_out, decoder)
