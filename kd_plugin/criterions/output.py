"""What a student says of a text's tokens: as a whole, or as what a chunked loss is made of.

Shapes: N real (non-padding) tokens, V vocabulary, D width of the decoder's features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..host.decode_hook import Decoder
from ..host.probabilities import at_least_float32, log_probabilities, log_softmax, raw_logits
from ..host.projection import output_matrix
from ..ops import Terms, dense_loss, linear_loss, log_probability_rows


class Dense(NamedTuple):
    """Log-probabilities of all tokens, in memory and in autograd's graph."""

    log_p: Tensor  # [N, V]
    logits: Tensor | None = None  # [N, V], where a method asks for them

    @classmethod
    def of(cls, model: Any, net_output: Any, real: Tensor, logits: bool = False) -> Dense:
        """From what a model returned; ``real`` [B, T]."""
        z = raw_logits(model, net_output, real) if logits else None
        return cls(log_probabilities(model, net_output, real), z)

    @property
    def dtype(self) -> torch.dtype:
        """Of log-probabilities."""
        return self.log_p.dtype

    def each(self, ask: Callable[[Tensor, int, int], Tensor]) -> Tensor:
        """What ``ask`` finds in log-probabilities without gradient [n, V], for all tokens [N]."""
        return ask(self.log_p.detach(), 0, len(self.log_p))

    def loss(self, terms: Terms) -> tuple[Tensor, list[Tensor]]:
        """The loss of each token [N], and the values of its terms."""
        return dense_loss(self.log_p, terms)


class Projected(NamedTuple):
    """Features and output matrix, of which log-probabilities are made chunk by chunk."""

    features: Tensor  # [N, D]
    weight: Tensor  # [V, D]

    @classmethod
    def of(cls, model: Any, decoder: Decoder, prefix: Tensor, real: Tensor) -> Projected:
        """Called inside of the model's forward."""
        return cls(decoder(prefix, features_only=True)[0][real], output_matrix(model))

    @property
    def log_p(self) -> Tensor:
        """[N, V], differentiable: for a method that cannot do with less."""
        return log_softmax(at_least_float32(self.features) @ at_least_float32(self.weight).t())

    @property
    def logits(self) -> None:
        return None

    @property
    def dtype(self) -> torch.dtype:
        """Of log-probabilities."""
        return torch.promote_types(self.features.dtype, torch.float32)

    def each(self, ask: Callable[[Tensor, int, int], Tensor]) -> Tensor:
        """As :meth:`Dense.each`."""
        return torch.cat([ask(*rows) for rows in log_probability_rows(self.features, self.weight)])

    def loss(self, terms: Terms) -> tuple[Tensor, list[Tensor]]:
        """The sum [1], or without a gradient the loss of each token [N]; the terms' values."""
        return linear_loss(self.features, self.weight, terms)
