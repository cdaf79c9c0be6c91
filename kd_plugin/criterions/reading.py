"""The texts of a batch, and what a student makes of them.

Shapes: B sentences, T positions, N real (non-padding) tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ..host.decode_hook import Decoder
from ..host.probabilities import at_least_float32, log_probabilities, raw_logits


class Text(NamedTuple):
    """One target side of a batch."""

    target: Tensor  # [B, T]
    prev_output_tokens: Tensor  # [B, T]
    ntokens: int
    stored: Tensor | None = None  # [N, bytes], where a teacher's store is of this text


class Reading(NamedTuple):
    """What the student makes of a text, without its padding."""

    net_input: dict[str, Any]
    real: Tensor  # [B, T]
    y: Tensor  # [N]
    log_p: Tensor  # [N, V]
    logits: Tensor | None = None  # [N, V], where a method asks for them
    stored: Tensor | None = None  # as the text's, where this prefix is the text's

    @property
    def nll(self) -> Tensor:
        """Negative log-probability of each token, without smoothing or gradient [N]."""
        return -self.log_p.detach().gather(-1, self.y.unsqueeze(-1)).squeeze(-1)

    @property
    def sentence(self) -> Tensor:
        """The row of the batch to which each token belongs [N]."""
        return self.real.nonzero()[:, 0]

    def of_sentences(self, values: Tensor) -> Tensor:
        """Sums of ``values`` [N] over each sentence [B]."""
        return values.new_zeros(len(self.real)).index_add(0, self.sentence, values)


def texts(sample: Mapping[str, Any]) -> tuple[Text, Text | None]:
    """The reference of a batch, and the teacher's text where the batch has one."""
    shifted = sample["net_input"]["prev_output_tokens"]
    reference = Text(sample["target"], shifted, sample["ntokens"], sample.get("stored"))
    return reference, Text(**sample["distilled"]) if "distilled" in sample else None


def is_stored(sample: Mapping[str, Any]) -> bool:
    """Whether a store has records of one of the batch's texts."""
    return any(text is not None and text.stored is not None for text in texts(sample))


def read(
    model: Any, sample: Mapping[str, Any], text: Text, padding: int, logits: bool = False
) -> Reading:
    """Let ``model`` read ``text`` as the target of the batch's sources."""
    net_input = {**sample["net_input"], "prev_output_tokens": text.prev_output_tokens}
    net_output = model(**net_input)
    reading = reading_of(model, net_input, text, net_output, padding)
    return (
        reading._replace(logits=raw_logits(model, net_output, reading.real)) if logits else reading
    )


def read_all(
    model: Any, sample: Mapping[str, Any], texts: Sequence[Text], padding: int
) -> tuple[list[Reading], Tensor]:
    """Let ``model`` encode the sources once and read several targets of them.

    Returns the readings, and each source's mean encoder state [B, D] in float32 at least.
    """
    inputs = [
        {**sample["net_input"], "prev_output_tokens": text.prev_output_tokens} for text in texts
    ]

    def decode(encoder_out: Any, decoder: Decoder) -> tuple[list[Reading], Tensor]:
        readings = [
            reading_of(model, net_input, text, decoder(text.prev_output_tokens), padding)
            for net_input, text in zip(inputs, texts)
        ]
        return readings, mean_state(encoder_out, sample["net_input"]["src_tokens"].ne(padding))

    read: tuple[list[Reading], Tensor] = model(**inputs[0], decode=decode)
    return read


def mean_state(encoder_out: Any, real: Tensor) -> Tensor:
    """Mean encoder state over the ``real`` [B, S] tokens of each source [B, D]."""
    states = encoder_out["encoder_out"] if isinstance(encoder_out, dict) else encoder_out
    weights = at_least_float32(real.to(states[0])).t().unsqueeze(-1)  # [S, B, 1]
    mean: Tensor = (states[0] * weights).sum(0) / weights.sum(0)
    return mean


def reading_of(
    model: Any, net_input: dict[str, Any], text: Text, net_output: Any, padding: int
) -> Reading:
    """The reading from what the model or its decoder returned for ``net_input``."""
    real = text.target.ne(padding)
    log_p = log_probabilities(model, net_output, real)
    return Reading(net_input, real, text.target[real], log_p, stored=text.stored)
