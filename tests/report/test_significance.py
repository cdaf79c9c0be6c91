"""Randomisation against full enumeration, under the null and off it; Holm and bootstrap by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import sacrebleu

from kd_plugin.report.scores import Counts, Measure
from kd_plugin.report.significance import CHUNK, bootstrap, holm, p_values

from .conftest import sentences, translate


def test_every_permutation_of_a_tiny_case() -> None:
    """2 sentences, 2 + 2 runs: (4!)^2 ways to deal the texts, each scored by sacrebleu itself."""
    references = ["kan sero ti man sun ko", "men tiro sa kon mu"]
    outputs = [
        translate(references, wrong, seed) for seed, wrong in enumerate((0.2, 0.2, 0.6, 0.5))
    ]

    def gap(dealt: list[tuple[str, ...]]) -> list[float]:
        runs = [list(run) for run in zip(*dealt)]  # of [sentence][run]
        scores = [
            [metric(run, [references]).score for run in runs]
            for metric in (sacrebleu.corpus_bleu, sacrebleu.corpus_chrf)
        ]
        return [abs(sum(s[:2]) / 2 - sum(s[2:]) / 2) for s in scores]

    observed = gap(list(zip(*outputs)))
    ways = [list(itertools.permutations(of_sentence)) for of_sentence in zip(*outputs)]
    gaps = [gap(list(dealt)) for dealt in itertools.product(*ways)]
    assert len(gaps) == 24**2
    measure, shuffles = Measure([references]), 20_000
    counts = np.stack([measure.counts(run) for run in outputs])
    p = p_values(counts[:2], counts[2:], measure.score, shuffles, seed=1)
    for metric, value in enumerate(p.tolist()):
        exact = sum(g[metric] >= observed[metric] - 1e-9 for g in gaps) / len(gaps)
        assert 0.02 < exact < 0.9  # a case that could go wrong either way
        assert abs(value - exact) < 4 * math.sqrt(exact * (1 - exact) / shuffles)


@pytest.fixture(scope="module")
def measure() -> Measure:
    return Measure([sentences(40)])


def runs_of(measure: Measure, wrong: float, seeds: range) -> Counts:
    return np.stack([measure.counts(translate(sentences(40), wrong, seed)) for seed in seeds])


def test_p_is_uniform_where_there_is_no_difference(measure: Measure) -> None:
    """Two times 3 seeds of one system, drawn anew from 30 translations of each sentence."""
    pool, rng = runs_of(measure, 0.3, range(30)), np.random.default_rng(5)
    p = []
    for seed in range(150):
        choice = rng.permuted(np.tile(np.arange(30), (40, 1)), axis=1)[:, :6].T  # [6, S]
        runs = pool[choice, np.arange(40)]
        p.append(p_values(runs[:3], runs[3:], measure.score, 99, seed))
    values = np.array(p)  # [150, M]
    # four standard errors of a uniform sample of 150
    assert (abs(values.mean(0) - 0.5) < 4 * math.sqrt(1 / 12 / 150)).all()
    for level in (0.1, 0.25, 0.5, 0.75):
        error = math.sqrt(level * (1 - level) / 150)
        assert (abs((values <= level).mean(0) - level) < 4 * error).all()


@pytest.mark.slow
def test_what_the_test_does_not_see() -> None:
    """docs/scoring.md: equal systems whose runs are better or worse throughout get p too small."""
    references, count = sentences(200), 20
    measure = Measure([references])
    pool = np.stack(
        [
            measure.counts(translate(references, wrong, 100 * side + seed))
            for side, wrong in enumerate((0.2, 0.4))
            for seed in range(count)
        ]
    )  # the first half is good
    found = []
    for spread in (0.0, 0.06, 0.12):
        rng, p, deviations = np.random.default_rng(1), [], []
        for seed in range(120):
            share = 0.5 + spread * rng.standard_normal(6)  # of good translations in each run
            good = rng.random((6, 200)) < share[:, None]
            one, other = rng.integers(count, size=(6, 200)), rng.integers(count, size=(6, 200))
            runs = pool[np.where(good, one, count + other), np.arange(200)]
            deviations.append(measure.score(runs.sum(1))[:, 0].std(ddof=1))
            p.append(p_values(runs[:3], runs[3:], measure.score, 199, seed)[0])
        found.append((np.mean(deviations), np.mean(np.array(p) <= 0.05)))
    (least, nominal), (third, some), (double, many) = found
    assert third / least == pytest.approx(1.31, abs=0.05)
    assert double / least == pytest.approx(2.0, abs=0.05)
    assert (nominal, some, many) == pytest.approx((0.04, 0.16, 0.28), abs=0.005)


def test_a_real_difference_is_found_in_either_direction(measure: Measure) -> None:
    good, poor = runs_of(measure, 0.2, range(3)), runs_of(measure, 0.4, range(3, 8))
    least = 1 / (1 + CHUNK + 7)
    for pair in ((good, poor), (poor, good)):
        assert p_values(*pair, measure.score, CHUNK + 7, 1).tolist() == [least, least]


def test_equal_systems_have_p_1(measure: Measure) -> None:
    runs = runs_of(measure, 0.3, range(3))
    assert p_values(runs, runs[::-1], measure.score, 101, 1).tolist() == [1, 1]


def test_the_seed_decides(measure: Measure) -> None:
    pair = runs_of(measure, 0.3, range(3)), runs_of(measure, 0.32, range(3, 6))
    p = [p_values(*pair, measure.score, 500, seed).tolist() for seed in (1, 1, 2)]
    assert p[0] == p[1] != p[2]


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.02, 0.5, 0.011]) == pytest.approx([1, 0.06, 1, 0.044])
    assert holm([]) == []


def test_bootstrap_against_one_that_resamples_text(measure: Measure) -> None:
    outputs = [translate(sentences(40), 0.3, seed) for seed in range(2)]
    runs = np.stack([measure.counts(output) for output in outputs])
    rng, scores = np.random.default_rng(3), []
    for _ in range(40):
        draw = rng.integers(40, size=40).tolist()
        reference = [[sentences(40)[i] for i in draw]]
        resampled = [[output[i] for i in draw] for output in outputs]
        scores.append(
            [
                np.mean([sacrebleu.corpus_bleu(run, reference).score for run in resampled]),
                np.mean([sacrebleu.corpus_chrf(run, reference).score for run in resampled]),
            ]
        )
    expected = np.percentile(scores, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(bootstrap(runs, measure.score, 40, 3), expected, atol=1e-9)
