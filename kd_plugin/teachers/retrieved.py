"""What the nearest neighbours of a decoder state say of the next token (Khandelwal et al., 2021).

.. math:: q(v) \\propto \\sum_{i: v_i = v} \\exp(-d_i / T)

with squared distances d and the neighbours' tokens v.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .targets import Belief

LEAST = 1e-38  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class NeighbourTargets:
    """The K neighbours of each of the N real tokens of a batch, nearest first."""

    ids: Tensor  # [N, K]
    distance: Tensor  # [N, K], less the smallest of the row
    vocabulary: int
    temperature: float = 1.0
    k: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, temperature: float, k: int = 0) -> NeighbourTargets:
        """What the k nearest (0: all) say at a temperature of the distances."""
        return replace(self, temperature=temperature, k=k)

    def rows(self, start: int, stop: int, logits: bool = False) -> Belief:
        nearest = NeighbourBelief(self.ids[start:stop], self.distance[start:stop], self.vocabulary)
        return nearest.at(self.temperature, self.k)


@dataclass(frozen=True)
class NeighbourBelief:
    """The neighbours of n positions, of which :meth:`at` makes a distribution."""

    ids: Tensor  # [n, K]
    distance: Tensor  # [n, K]
    vocabulary: int

    def at(self, temperature: float, k: int = 0) -> Belief:
        """The belief of the k nearest (0: of all); a token's entries each carry their share.

        ``log_q`` is of the token, so that entries of one token add up.
        """
        k = k or self.ids.size(1)
        nearest = NeighbourBelief(self.ids[:, :k], self.distance[:, :k], self.vocabulary)
        weights = nearest.weights(temperature)
        log_q = nearest.by_token(weights).gather(-1, nearest.ids).clamp(min=LEAST).log()
        return Belief(weights, log_q, nearest.ids)

    def weights(self, temperature: float) -> Tensor:
        """Of each neighbour [n, K]."""
        return torch.softmax(-self.distance / temperature, -1)

    def probabilities(self, temperature: float) -> Tensor:
        """Of each token of the vocabulary [n, V]."""
        return self.by_token(self.weights(temperature))

    def by_token(self, weights: Tensor) -> Tensor:
        """The neighbours' ``weights`` [n, K], added up for each token [n, V]."""
        return weights.new_zeros(len(weights), self.vocabulary).scatter_add(-1, self.ids, weights)
