"""What a difference between systems may be called: randomisation, Holm, bootstrap.

Every function takes ``score``, which makes scores [..., M] of summed counts [..., D], and counts of
the runs (seeds) of a system, [n, S, D].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .scores import Counts, Scores

CHUNK = 1000  # shuffles whose sums are held at once
TIE = 1e-9  # points; the same scores averaged in another order are as extreme

Scorer = Callable[[Counts], Scores]


def p_values(ours: Counts, theirs: Counts, score: Scorer, shuffles: int, seed: int) -> Scores:
    """Approximate randomisation, stratified over runs, two-sided: p of each metric [M].

    The statistic is the difference of the mean corpus scores of ``ours`` [n, S, D] and ``theirs``
    [m, S, D]. A shuffle deals the n + m outputs of each sentence to the n + m runs anew. Source:
    Clark et al. (2011); p = (1 + as extreme) / (1 + shuffles), so it is never 0.

    The null hypothesis is that the runs' outputs of a sentence are exchangeable. It knows nothing
    of a run that is better throughout: where seeds differ by more than their sentences explain,
    p is too small.
    """
    runs, n = np.concatenate([ours, theirs]), len(ours)

    def gap(sums: Counts) -> Scores:  # [..., n + m, D] to [..., M]
        scores = score(sums)
        return np.asarray(np.abs(scores[..., :n, :].mean(-2) - scores[..., n:, :].mean(-2)))

    least = gap(runs.sum(1)) - TIE
    rng = np.random.default_rng(seed)
    extreme = sum((gap(sums) >= least).sum(0) for sums in shuffled(runs, shuffles, rng))
    return np.asarray((1 + extreme) / (1 + shuffles))


def shuffled(runs: Counts, shuffles: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Corpus sums [k, R, D] of R runs [R, S, D] after each shuffle, at most CHUNK at a time."""
    count, _, width = runs.shape
    small = np.int32 if runs.sum() < 2**31 else np.int64
    sentences = runs.swapaxes(0, 1).astype(small)  # [S, R, D]
    for start in range(0, shuffles, CHUNK):
        slots = np.tile(np.arange(count), (min(CHUNK, shuffles - start), 1))  # [k, R]
        sums = np.zeros((*slots.shape, width), small)
        for one, other in zip(sentences[::2], sentences[1::2]):  # two at a time: half the sums
            both = (one[:, None] + other).reshape(-1, width)  # [R * R, D]
            first, second = (rng.permuted(slots, axis=1) for _ in range(2))
            sums += both[first * count + second]
        if len(sentences) % 2:
            sums += sentences[-1][rng.permuted(slots, axis=1)]
        yield sums.astype(np.int64)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values of a family of tests (Holm, 1979)."""
    adjusted, highest = list(p), 0.0
    for rank, row in enumerate(np.argsort(p, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p) - rank) * p[row]))
        adjusted[row] = highest
    return adjusted


def bootstrap(runs: Counts, score: Scorer, resamples: int, seed: int) -> Scores:
    """95 % percentile interval of the runs' mean score over sentences: low and high [2, M].

    Source: Koehn (2004). All runs [n, S, D] see the same resampled sentences.
    """
    rng, size = np.random.default_rng(seed), runs.shape[1]
    by_sentence = runs.swapaxes(0, 1).reshape(size, -1).astype(np.float64)  # exact below 2 ** 53
    drawn = (np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(resamples))
    sums = np.stack([times @ by_sentence for times in drawn]).astype(np.int64)
    scores = score(sums.reshape(resamples, len(runs), -1)).mean(1)
    return np.asarray(np.quantile(scores, [0.025, 0.975], axis=0))
