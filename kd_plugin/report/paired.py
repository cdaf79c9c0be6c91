"""What runs that share their seeds say of a difference: the k-th of one system beside the other's.

The same seed gives two students the same first parameters and the same order of batches, so what
they share cancels in their difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .scores import Counts, Scores
from .significance import TIE, Scorer

EXACT = 16  # pairs up to which every pattern of signs is looked at
FLIPS = 1 << EXACT


@dataclass
class Paired:
    """One metric of one system, minus the baseline's, over n pairs of runs."""

    differences: list[float]  # by pair
    mean: float
    interval: list[float]  # 95 %, over seeds and sentences
    p: float  # of the sign-flip test
    least_p: float  # that so many pairs can reach


def paired(ours: Counts, theirs: Counts, score: Scorer, resamples: int, seed: int) -> list[Paired]:
    """Each metric's differences of the runs ``ours`` and ``theirs``, [n, S, D] both."""
    each = score(ours.sum(1)) - score(theirs.sum(1))  # [n, M]
    bounds = hierarchical_bootstrap([ours, theirs], [1, -1], score, resamples, seed)  # [2, M]
    return [
        Paired(d.tolist(), float(d.mean()), interval.tolist(), sign_flip(d, seed), least_p(len(d)))
        for d, interval in zip(each.T, bounds.T)
    ]


def least_p(pairs: int) -> float:
    """The smallest p of a two-sided sign-flip test: both patterns of equal signs."""
    return min(1.0, 2.0 ** (1 - pairs))


def sign_flip(differences: Scores, seed: int) -> float:
    """Two-sided p of the hypothesis that each difference [n] could as well have the other sign.

    The share of all 2^n patterns of signs whose mean is at least as far from 0 as the one that was
    seen (Fisher's randomisation of paired differences). From more than 16 pairs on, 65,536 random
    patterns stand for all, and p = (1 + as extreme) / (1 + patterns).
    """
    n = len(differences)
    least = abs(differences.mean()) - TIE
    if n <= EXACT:
        signs = np.array(list(itertools.product((-1, 1), repeat=n)))
        return float((np.abs(signs @ differences / n) >= least).mean())
    signs = np.random.default_rng(seed).choice((-1, 1), (FLIPS, n))
    return float((1 + (np.abs(signs @ differences / n) >= least).sum()) / (1 + FLIPS))


def hierarchical_bootstrap(
    systems: Sequence[Counts],
    weights: Sequence[float],
    score: Scorer,
    resamples: int,
    seed: int,
    level: float = 0.05,
) -> Scores:
    """Percentile interval of a weighted sum of systems' mean scores, over pairs and sentences.

    A resample draws n of the n seeds, and S of the S sentences, the same for all runs: what differs
    by chance between trainings and what differs by the choice of the test set are both in it. With
    few seeds it is too narrow: n values are drawn from n.

    Args:
        systems: K of them, each [n, S, D], whose k-th runs share a seed.
        weights: of the systems; [1, -1] is a difference.
        score: see :mod:`.significance`.
        resamples: how many are drawn.
        seed: of the draws.
        level: what is left outside of the interval; 0.05 for one of 95 %.

    Returns:
        Low and high of each metric, [2, M].
    """
    rng, (n, size, _) = np.random.default_rng(seed), systems[0].shape
    runs = np.concatenate(systems)  # [K n, S, D]
    by_sentence = runs.swapaxes(0, 1).reshape(size, -1).astype(np.float64)
    means = []
    for _ in range(resamples):
        drawn = rng.integers(n, size=n)
        times = np.bincount(rng.integers(size, size=size), minlength=size)
        scores = score((times @ by_sentence).astype(np.int64).reshape(len(runs), -1))
        each = scores.reshape(len(systems), n, -1)[:, drawn]
        means.append(np.tensordot(np.asarray(weights, float), each, 1).mean(0))
    return np.asarray(np.quantile(np.stack(means), [level / 2, 1 - level / 2], axis=0))
