"""Which of a decoder's states are the keys of neighbours, and how they are got hold of."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import InputError


def key_layer(model: Any, keys: str) -> Any:
    """The layer of ``model`` whose input is the key.

    ``output`` is the decoder's output, after its last normalisation; ``ffn-input`` what the last
    layer's feed-forward block reads.

    Raises:
        InputError: the model has no such layer.
    """
    decoder = getattr(model, "decoder", None)
    layer = getattr(decoder, "output_projection", None)
    if keys == "ffn-input":
        layer = getattr(getattr(decoder, "layers", [None])[-1], "fc1", None)
    if layer is None:
        raise InputError(
            f"--keys {keys}: {type(model).__name__} has no such state; the teacher must be a "
            "Transformer with decoder layers of fairseq's own kind"
        )
    return layer


def capture(model: Any, keys: str) -> tuple[list[Tensor], Any]:
    """From now on the latest keys of ``model`` [B, T, D] are the list's only entry.

    Returns the list, and torch's handle; leaving it as a context ends that.
    """
    latest: list[Tensor] = []

    def keep(_: Any, inputs: tuple[Tensor, ...]) -> None:
        latest[:] = [inputs[0] if keys == "output" else inputs[0].transpose(0, 1)]

    return latest, key_layer(model, keys).register_forward_pre_hook(keep)
