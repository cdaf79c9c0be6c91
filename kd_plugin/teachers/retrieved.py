"""What the nearest neighbours of a decoder state say of the next token (Khandelwal et al., 2021).

.. math:: q(v) \\propto \\sum_{i: v_i = v} \\exp(-d_i / T)

with squared distances d and the neighbours' tokens v.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..stores.store import Store
from .targets import Belief

TEMPERATURES = (1, 10, 100)  # of squared distances; the papers have 10 and 100
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


def describe(store: Store, pairs: Any) -> Iterator[str]:
    """``fairseq-kd cache --info``: what a store's neighbours say that the references do not.

    By temperature the mean weight of the nearest one (the token's own entry, unless that was left
    out), the mean mass of the reference's token, and the mean entropy of the mass by token.

    Args:
        store: of neighbours.
        pairs: its sentences.

    Raises:
        InputError: the sentences are others than the store's.
    """
    sums = torch.zeros(len(TEMPERATURES), 3, dtype=torch.float64)
    for _, target, found in _sentences(store, pairs):
        right = found.ids == target.unsqueeze(-1)
        for told, temperature in zip(sums, TEMPERATURES):
            belief = found.at(temperature)
            entropy = -(belief.q * belief.log_q).sum()
            told += torch.stack([belief.q[:, 0].sum(), belief.q[right].sum(), entropy])
    for temperature, told in zip(TEMPERATURES, (sums / max(store.tokens, 1)).tolist()):
        nearest, mass, entropy = told
        yield (
            f"--knn-temperature {temperature}: {nearest:.3f} of the weight on the nearest, "
            f"{mass:.3f} on the reference's token, entropy {entropy:.3f} nats a token"
        )


def compare(store: Store, pairs: Any, beliefs: Store) -> Iterator[str]:
    """``fairseq-kd cache --info --beside``: whether neighbours follow their teacher or its text.

    Of the tokens at which the teacher prefers another one to the reference's: the mean mass of
    both, of the teacher, and by temperature of the neighbours, and how often what it prefers is
    their likeliest, too.

    Args:
        store: of neighbours.
        pairs: its sentences.
        beliefs: what the teacher of these neighbours believes about the same sentences.

    Raises:
        InputError: the sentences are others than a store's, or ``beliefs`` has none.
    """
    if beliefs.settings["kind"] != "beliefs":
        raise InputError(
            f"--beside {beliefs.folder} holds {beliefs.settings['kind']}; give a store that "
            "fairseq-kd cache wrote without --features"
        )
    sums = torch.zeros(1 + len(TEMPERATURES), 3, dtype=torch.float64)  # teacher, then neighbours
    tokens = 0
    for row, target, found in _sentences(store, pairs):
        _check_text(beliefs, pairs, row)
        records = beliefs.read(row)
        best = torch.from_numpy(records["ids"][:, 0].astype("int64"))
        differs = best != target
        tokens += int(differs.sum())
        for told, field in zip(sums[0][:2], (records["log_q"][:, 0], records["gold"][:, 0])):
            told += torch.from_numpy(field.astype("float64")).exp()[differs].sum()
        there = NeighbourBelief(found.ids[differs], found.distance[differs], found.vocabulary)
        for told, temperature in zip(sums[1:], TEMPERATURES):
            mass = there.probabilities(temperature)  # [n, V]
            told[:2] += mass.gather(-1, torch.stack([best, target], -1)[differs]).sum(0)
            told[2] += (mass.argmax(-1) == best[differs]).sum()
    means = (sums / max(tokens, 1)).tolist()
    yield (
        f"at {tokens / max(store.tokens, 1):.3f} of the tokens the teacher prefers another one to "
        f"the reference's, with {means[0][0]:.3f} on it and {means[0][1]:.3f} on the reference's"
    )
    for temperature, (preferred, reference, alike) in zip(TEMPERATURES, means[1:]):
        yield (
            f"--knn-temperature {temperature}: there neighbours have {preferred:.3f} on what the "
            f"teacher prefers, their own likeliest at {alike:.3f}, and {reference:.3f} on the "
            "reference's"
        )


def _sentences(store: Store, pairs: Any) -> Iterator[tuple[int, Tensor, NeighbourBelief]]:
    """Row, target and neighbours of each sentence that has records."""
    for row in range(len(store)):
        _check_text(store, pairs, row)
        records = store.read(row)
        if len(records):  # none where it is too long for the teacher
            ids = torch.from_numpy(records["ids"].astype("int64"))
            distance = torch.from_numpy(records["distance"].astype("float64"))
            yield row, pairs.tgt[row], NeighbourBelief(ids, distance, len(pairs.tgt_dict))


def _check_text(store: Store, pairs: Any, row: int) -> None:
    if not store.is_text(row, pairs.src[row], pairs.tgt[row]):
        raise InputError(
            f"{store.folder} was written for another sentence {row + 1} of {store.name} than "
            "the data's; give the data folder that it was written for"
        )
