"""Sentence BLEU and chrF equal sacrebleu's, whatever the text; the paper's smoothing a loop's."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from sacrebleu.metrics import BLEU, CHRF

from kd_plugin.corpus.similarity import SentenceBleu, SentenceChrf

WORDS = (
    "a bb a, 3.5 1,000 x-y 7-8 &amp; &quot;q&quot; ... .a a.b. <skipped> ü ß😀 '\u2581' - -- 50% "
    "(hi) (hi). \u4f60\u597d A&lt;b \u00a0nb\u00a0sp $5.00, e.g. U.S. it's"
).split(" ")


def texts(count: int, seed: int, longest: int = 13) -> list[str]:
    generator = random.Random(seed)
    made = ["", ".", "a", "a a a a a a", "a bb", "  ", "a.b,c 7-8"]
    while len(made) < count:
        length = generator.randint(0, longest)
        made.append(" ".join(generator.choices(WORDS, k=length)))
    return made


@pytest.mark.parametrize("tokenize", ["13a", "none", "intl", "char", "zh"])
def test_bleu_is_sacrebleus(tokenize: str) -> None:
    theirs = BLEU(effective_order=True, tokenize=tokenize)
    ours = SentenceBleu("exp", tokenize)
    first, second = texts(40, 1), texts(30, 2)
    counts = ours.counts(first, second)
    scores = ours.scores(counts)
    for k, hypothesis in enumerate(first):
        for r, reference in enumerate(second):
            expected = theirs.sentence_score(hypothesis, [reference])
            assert scores[k, r] == pytest.approx(expected.score, abs=1e-9), (hypothesis, reference)
            assert ours.scores(ours.counts([hypothesis], [reference])) == scores[k, r]


def test_chrf_is_sacrebleus() -> None:
    theirs, ours = CHRF(), SentenceChrf()
    first, second = texts(40, 3), texts(30, 4)
    scores = ours.scores(ours.counts(first, second))
    for k, hypothesis in enumerate(first):
        for r, reference in enumerate(second):
            expected = theirs.sentence_score(hypothesis, [reference]).score
            assert scores[k, r] == pytest.approx(expected, abs=1e-9), (hypothesis, reference)


@pytest.mark.parametrize(("ours", "theirs"), [(SentenceBleu(), BLEU()), (SentenceChrf(), CHRF())])
def test_corpus_scores_are_of_summed_counts(ours: SentenceBleu, theirs: BLEU) -> None:
    first, second = texts(50, 5)[7:], texts(50, 6)[7:]
    sums = sum(ours.counts([h], [r])[0, 0] for h, r in zip(first, second))
    expected = theirs.corpus_score(first, [second]).score
    assert ours.corpus(list(map(int, sums))) == pytest.approx(expected, abs=1e-9)


def by_the_paper(hypothesis: list[str], reference: list[str]) -> float:
    """The published code's rule as a loop."""
    if not hypothesis:
        return 0.0
    product, without = 1.0, 1.0
    for n in range(1, 5):
        ours = Counter(tuple(hypothesis[i : i + n]) for i in range(len(hypothesis) - n + 1))
        theirs = Counter(tuple(reference[i : i + n]) for i in range(len(reference) - n + 1))
        if not ours:
            continue
        matches: float = sum(min(count, theirs[ngram]) for ngram, count in ours.items())
        if matches == 0:
            without /= 2
            matches = without
        product *= matches / sum(ours.values())
    brevity = math.exp(1 - max(1.0, len(reference) / len(hypothesis)))
    score: float = 100 * brevity * product**0.25
    return score


def test_the_papers_smoothing() -> None:
    ours = SentenceBleu("paper", "none")
    first, second = texts(40, 7), texts(30, 8)
    scores = ours.scores(ours.counts(first, second))
    for k, hypothesis in enumerate(first):
        for r, reference in enumerate(second):
            expected = by_the_paper(hypothesis.split(), reference.split())
            assert scores[k, r] == pytest.approx(expected, abs=1e-9), (hypothesis, reference)


def test_words_that_are_forgotten_are_numbered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from kd_plugin.corpus import similarity

    first, second = texts(60, 9), texts(60, 10)
    ours = SentenceBleu()
    expected = [ours.counts([h], [r]).tolist() for h, r in zip(first, second)]
    monkeypatch.setattr(similarity, "REMEMBERED", 5)
    ours = SentenceBleu()
    assert [ours.counts([h], [r]).tolist() for h, r in zip(first, second)] == expected
