"""What the nearest neighbours of a decoder state say of the next token (Khandelwal et al., 2021).

.. math:: q(v) \\propto \\sum_{i: v_i = v} \\exp(-d_i / T)

with squared distances d and the neighbours' tokens v.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .targets import Belief


@dataclass(frozen=True)
class NeighbourTargets:
    """The K neighbours of each of the N real tokens of a batch, nearest first."""

    ids: Tensor  # [N, K]
    distance: Tensor  # [N, K], less the smallest of the row
    vocabulary: int

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, start: int, stop: int, logits: bool = False) -> NeighbourBelief:
        return NeighbourBelief(self.ids[start:stop], self.distance[start:stop], self.vocabulary)


@dataclass(frozen=True)
class NeighbourBelief:
    """The neighbours of n positions; a belief at a temperature."""

    ids: Tensor  # [n, K]
    distance: Tensor  # [n, K]
    vocabulary: int

    def at(self, temperature: float, k: int = 0) -> Belief:
        """The belief of the k nearest (0: of all); a token's entries each carry their share.

        ``log_q`` is of the token, so that entries of one token add up.
        """
        k = k or self.ids.size(1)
        ids, weights = self.ids[:, :k], torch.softmax(-self.distance[:, :k] / temperature, -1)
        whole = weights.new_zeros(len(ids), self.vocabulary).scatter_add(-1, ids, weights)
        return Belief(weights, whole.gather(-1, ids).clamp(min=1e-38).log(), ids)
