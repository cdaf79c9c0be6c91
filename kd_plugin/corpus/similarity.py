r"""Sentence BLEU and chrF of many texts against many others, as counts of n-grams in a matrix.

The texts of one sentence (its hypotheses, its reference) are few and share most of their n-grams.
So each order's n-grams are numbered once, an n-gram of order n + 1 by the numbers of its first n
words and its last word, and counted in a matrix of a row a text. What two texts have in common is
the sum of the smaller of their two counts.

Scores equal sacrebleu's sentence scores (tests: to 1e-9). BLEU's smoothing ``paper`` is that of the
code of Kim & Rush (2016), seq2seq-attn: in an order without a match the count is 1/2, the next such
1/4 and so on, as sacrebleu's ``exp``, but the root is always the fourth, an order that has no
n-grams counts as perfect, and a text without any match is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU

from ..errors import InputError

Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]
REMEMBERED = 1 << 18  # words whose tokens are kept
WORD_WISE = ("13a", "none")  # tokenizers that treat each word by itself


class Metric(Protocol):
    """A sentence score that is a function of additive counts."""

    name: str

    def counts(self, texts: Sequence[str], references: Sequence[str]) -> Numbers:
        """What is counted of each of K texts against each of R references [K, R, D]."""

    def scores(self, counts: Numbers) -> Scores:
        """The sentence scores [...] of counts [..., D], in points from 0 to 100."""

    def corpus(self, counts: Sequence[int]) -> float:
        """The corpus score of the sum of its sentences' counts [D]."""


def common(texts: Sequence[Numbers], first: int, orders: int) -> tuple[Numbers, Numbers]:
    """N-grams that each of the first K texts shares with each of the R others.

    Args:
        texts: K + R sequences of numbers that stand for words or characters, 0 or above.
        first: K.
        orders: of n-grams, from 1.

    Returns:
        How many are shared [K, R, orders], each counted as often as it is in both; and how many
        each text has [K + R, orders].
    """
    lengths = np.array([len(text) for text in texts])
    totals = np.maximum(lengths[:, None] - np.arange(orders), 0)
    shared = np.zeros((first, len(texts) - first, orders), np.int64)
    flat = np.concatenate(texts)
    if not len(flat):
        return shared, totals
    rows = np.repeat(np.arange(len(texts)), lengths)
    last = np.zeros(len(flat), bool)  # of its text
    last[lengths[lengths > 0].cumsum() - 1] = True
    letters, base = _numbered(flat)
    ngrams, width, ends = letters, base, np.arange(len(flat))  # an n-gram: its kind, its last place
    for n in range(orders):
        counts = np.bincount(rows * width + ngrams, minlength=len(texts) * width)
        counts = counts.reshape(len(texts), width)
        for r in range(len(texts) - first):
            shared[:, r, n] = np.minimum(counts[:first], counts[first + r]).sum(1)
        if n + 1 == orders:
            break
        longer = (counts[first:].sum(0) > 0)[ngrams] & ~last[ends]  # others share nothing longer
        rows, ends = rows[longer], ends[longer] + 1
        if not len(ends):
            break
        ngrams, width = _numbered(ngrams[longer] * base + letters[ends])
    return shared, totals


def _numbered(keys: Numbers) -> tuple[Numbers, int]:
    """Numbers from 0 for the different keys, and how many there are."""
    order = keys.argsort()
    ordered = keys[order]
    starts = np.empty(len(keys), np.int64)
    starts[0] = 0
    starts[1:] = ordered[1:] != ordered[:-1]
    kinds = np.cumsum(starts)
    numbers = np.empty_like(keys)
    numbers[order] = kinds
    return numbers, int(kinds[-1]) + 1


class SentenceBleu:
    """BLEU of words; counts are lengths of both texts, four orders of matches and of n-grams."""

    name = "bleu"

    def __init__(self, smoothing: str = "exp", tokenize: str = "13a"):
        """``smoothing`` is exp (sacrebleu's) or paper.

        Raises:
            InputError: the tokenizer of sacrebleu is not installed.
        """
        try:
            self._bleu = BLEU(tokenize=tokenize)
        except (ImportError, OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"--tokenize {tokenize} cannot be used: {reason}") from error
        self._paper = smoothing == "paper"
        self._known: dict[str, list[int]] | None = {} if tokenize in WORD_WISE else None
        self._numbers: dict[str, int] = {}

    def counts(self, texts: Sequence[str], references: Sequence[str]) -> Numbers:
        """See :class:`Metric`; D = 10."""
        if len(self._numbers) > REMEMBERED:  # between sentences: a word keeps its number in one
            self._numbers.clear()
            self._known = self._known and {}
        words = [np.array(self._words(text), np.int64) for text in (*texts, *references)]
        shared, totals = common(words, len(texts), 4)
        K, R = shared.shape[:2]
        counts = np.empty((K, R, 10), np.int64)
        counts[..., 0], counts[..., 1] = totals[:K, None, 0], totals[None, K:, 0]
        counts[..., 2:6], counts[..., 6:] = shared, totals[:K, None]
        return counts

    def _words(self, text: str) -> list[int]:
        """A number for each token of a text."""
        if self._known is None:
            return self._number(self._bleu.tokenizer(text.rstrip()).split())
        numbers: list[int] = []
        for word in text.split():
            known = self._known.get(word)
            if known is None:
                known = self._known[word] = self._number(self._bleu.tokenizer(word).split())
            numbers += known
        return numbers

    def _number(self, tokens: Sequence[str]) -> list[int]:
        return [self._numbers.setdefault(token, len(self._numbers)) for token in tokens]

    def scores(self, counts: Numbers) -> Scores:
        """See :class:`Metric`."""
        length, of_reference = counts[..., 0], counts[..., 1]
        shared, totals = counts[..., 2:6], counts[..., 6:]
        there = totals > 0
        missing = (shared == 0) & there
        matched = np.where(missing, 0.5 ** np.cumsum(missing, -1), shared)
        log_precision = np.log(np.where(there, matched / np.maximum(totals, 1), 1.0)).sum(-1)
        root = 4 if self._paper else np.maximum(there.sum(-1), 1)
        short = np.minimum(0.0, 1 - of_reference / np.maximum(length, 1))
        scores: Scores = 100 * np.exp(short + log_precision / root)
        nothing = length == 0 if self._paper else ~shared.any(-1)
        return np.where(nothing, 0.0, scores)

    def corpus(self, counts: Sequence[int]) -> float:
        """sacrebleu's."""
        length, of_reference, *rest = counts
        return float(BLEU.compute_bleu(rest[:4], rest[4:], length, of_reference, "exp").score)


class SentenceChrf:
    """chrF of up to six characters; counts are n-grams of text, of reference and shared."""

    name = "chrf"

    def counts(self, texts: Sequence[str], references: Sequence[str]) -> Numbers:
        """See :class:`Metric`; D = 18."""
        letters = [_letters(text) for text in (*texts, *references)]
        shared, totals = common(letters, len(texts), 6)
        K, R = shared.shape[:2]
        counts = np.empty((K, R, 3, 6), np.int64)
        counts[:, :, 1] = totals[None, K:]
        counts[:, :, 0] = totals[:K, None] * (counts[:, :, 1] > 0)
        counts[:, :, 2] = shared
        return counts.reshape(K, R, 18)

    def scores(self, counts: Numbers) -> Scores:
        """See :class:`Metric`."""
        of_text, of_reference, shared = np.moveaxis(counts.reshape(*counts.shape[:-1], 3, 6), -2, 0)
        both = (of_text > 0) & (of_reference > 0)
        orders = np.maximum(both.sum(-1), 1)
        precision = np.where(both, shared / np.maximum(of_text, 1), 0).sum(-1) / orders
        recall = np.where(both, shared / np.maximum(of_reference, 1), 0).sum(-1) / orders
        beneath = 4 * precision + recall  # recall counts beta = 2 times as much
        scores: Scores = 500 * precision * recall / np.where(beneath > 0, beneath, 1)
        return scores

    def corpus(self, counts: Sequence[int]) -> float:
        """sacrebleu's."""
        return float(self.scores(np.array(counts)))


def _letters(text: str) -> Numbers:
    """A number for each character that is no white space."""
    packed = "".join(text.split()).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(packed, "<u4").astype(np.int64)
