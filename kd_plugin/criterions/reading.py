"""The texts of a batch, and what a student makes of them.

Shapes: B sentences, T positions, N real (non-padding) tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ..probabilities import log_probabilities


class Text(NamedTuple):
    """One target side of a batch."""

    target: Tensor  # [B, T]
    prev_output_tokens: Tensor  # [B, T]
    ntokens: int


class Reading(NamedTuple):
    """What the student makes of a text, without its padding."""

    net_input: dict[str, Any]
    real: Tensor  # [B, T]
    y: Tensor  # [N]
    log_p: Tensor  # [N, V]


def texts(sample: Mapping[str, Any]) -> tuple[Text, Text | None]:
    """The reference of a batch, and the teacher's text where the batch has one."""
    shifted = sample["net_input"]["prev_output_tokens"]
    reference = Text(sample["target"], shifted, sample["ntokens"])
    return reference, Text(**sample["distilled"]) if "distilled" in sample else None


def read(model: Any, sample: Mapping[str, Any], text: Text, padding: int) -> Reading:
    """Let ``model`` read ``text`` as the target of the batch's sources."""
    net_input = {**sample["net_input"], "prev_output_tokens": text.prev_output_tokens}
    real = text.target.ne(padding)
    log_p = log_probabilities(model, model(**net_input), real)
    return Reading(net_input, real, text.target[real], log_p)
