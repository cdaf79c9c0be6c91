"""Runs that share a seed, compared one by one."""

from __future__ import annotations

import itertools
import json
import random
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu import corpus_bleu

from kd_plugin.commands import cli
from kd_plugin.report.delta_accuracy import delta_accuracy
from kd_plugin.report.paired import hierarchical_bootstrap, least_p, sign_flip
from kd_plugin.report.scores import Measure

from .conftest import sentences, translate, write

RUNS = [
    *("--references", "ref", "--system", "good=good0,good1,good2"),
    *("--system", "poor=poor0,poor1,poor2", "--baseline", "poor"),
]


@pytest.mark.parametrize("n", [2, 3, 6])
def test_sign_flip_is_every_pattern_of_signs(n: int) -> None:
    r = random.Random(n)
    d = [r.gauss(0.5, 1) for _ in range(n)]
    patterns = [
        abs(sum(s * x for s, x in zip(signs, d))) for signs in itertools.product((1, -1), repeat=n)
    ]
    expected = sum(each >= abs(sum(d)) - 1e-9 for each in patterns) / 2**n
    assert sign_flip(np.array(d), 1) == pytest.approx(expected, abs=1e-12)
    assert sign_flip(np.array(d), 1) >= least_p(n)


def test_the_least_p_is_reached_by_equal_signs() -> None:
    for n, published in ((3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125)):
        assert sign_flip(np.arange(1, n + 1) / 10, 1) == least_p(n) == published


def test_random_patterns_stand_for_all_of_many_pairs() -> None:
    r = np.random.default_rng(0)
    d = r.normal(0.3, 1, 18)
    signs = np.array(list(itertools.product((-1, 1), repeat=18)))
    exact = (np.abs(signs @ d) >= abs(d.sum()) - 1e-9).mean()
    assert sign_flip(d, 1) == pytest.approx(exact, abs=0.01)


def test_p_of_equal_systems_is_below_a_level_as_often_as_it_says() -> None:
    """With a seed effect on whole runs, under which the stratified test is wrong."""
    r = np.random.default_rng(0)
    p = [sign_flip(r.normal(0, 1, 6), 1) for _ in range(4000)]
    for level in (1 / 32, 1 / 8, 0.5):
        assert np.mean([each <= level for each in p]) == pytest.approx(level, abs=0.03)


def test_the_bootstrap_resamples_seeds_and_sentences() -> None:
    """Against one that draws lines of text and scores them with sacrebleu."""
    references = sentences(30)
    ours = [translate(references, 0.2, seed) for seed in range(3)]
    theirs = [translate(references, 0.3 + 0.1 * seed, 50 + seed) for seed in range(3)]
    measure = Measure([references])
    first, second = (np.stack([measure.counts(run) for run in runs]) for runs in (ours, theirs))
    low, high = hierarchical_bootstrap([first, second], [1, -1], measure.score, 600, 1)[:, 0]
    r, means = random.Random(5), []
    for _ in range(600):
        rows = r.choices(range(30), k=30)
        picked = [references[row] for row in rows]
        gaps = [
            corpus_bleu([a[row] for row in rows], [picked]).score
            - corpus_bleu([b[row] for row in rows], [picked]).score
            for a, b in r.choices(list(zip(ours, theirs)), k=3)
        ]
        means.append(statistics.mean(gaps))
    means.sort()
    width = means[-16] - means[15]
    assert low == pytest.approx(means[15], abs=0.15 * width)
    assert high == pytest.approx(means[-16], abs=0.15 * width)


def score(*flags: str) -> dict[str, Any]:
    cli.main(["score", *flags, "--shuffles", "1000", "--json", "out"])
    found: dict[str, Any] = json.loads(Path("out").read_text())
    return found


def test_the_differences_are_those_of_the_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = score(*RUNS, "--paired")["systems"][0]["scores"]["BLEU"]
    output = capsys.readouterr().out
    lines = {name: Path(name).read_text().splitlines() for name in ("ref", "good1", "poor1")}
    expected = [
        corpus_bleu(lines[name], [lines["ref"]]).score for name in ("good1", "poor1")
    ]  # fmt: skip
    assert good["paired"]["differences"][1] == pytest.approx(expected[0] - expected[1], abs=1e-9)
    assert good["paired"]["mean"] == pytest.approx(good["difference"], abs=1e-9)
    assert good["paired"]["interval"][0] < good["paired"]["mean"] < good["paired"]["interval"][1]
    assert (good["paired"]["p"], good["paired"]["least_p"]) == (0.25, 0.25)
    assert "Differences to poor by seed:" in output
    assert f"{good['paired']['differences'][1]:+.2f}" in output
    assert "with 3 pairs it is never below the least p" in output


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--system", "more=poor3,good0"], "--paired: more has 2 files and poor 3; give the runs"),
        (None, "--paired compares with a baseline; name it with --baseline"),
    ],
)
def test_runs_that_make_no_pairs_are_refused(
    flags: list[str] | None, words: str, folder: Path
) -> None:
    command = RUNS[:-2] if flags is None else [*RUNS, *flags]
    with pytest.raises(SystemExit, match=words):
        cli.main(["score", *command, "--paired"])


def test_a_single_run_stands_beside_pairs(folder: Path) -> None:
    systems = score(*RUNS, "--system", "teacher=poor3", "--paired")["systems"]
    assert [s["scores"]["chrF"]["paired"] is None for s in systems] == [False, True, True]


@pytest.mark.parametrize(
    ("metric", "difference", "published"),
    [("BLEU", 0.5, 54.6), ("BLEU", 1, 64.0), ("BLEU", -2, 77.2), ("BLEU", 3, 83.7),
     ("chrF", 0.5, 59.1), ("chrF", 1, 70.0), ("chrF", 2, 84.0), ("chrF", 3, 89.8)],
)  # fmt: skip
def test_delta_accuracy_is_the_published_one(
    metric: str, difference: float, published: float
) -> None:
    assert delta_accuracy(metric, difference) == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize(
    ("metric", "tokenize", "thresholds"),
    [  # the tool's table of thresholds: differences that 60 %, 70 % and 80 % agree with
        ("BLEU", "flores200", (0.82, 1.49, 2.46)),
        ("COMET20", "13a", (0.0065, 0.0129, 0.0210)),
        ("COMET22", "13a", (0.0018, 0.0035, 0.0056)),
        ("CometKiwi22", "13a", (0.0016, 0.0033, 0.0053)),
        ("MetricX-23-L", "13a", (0.02, 0.04, 0.07)),
    ],
)
def test_other_metrics_have_their_own_constants(
    metric: str, tokenize: str, thresholds: tuple[float, ...]
) -> None:
    for accuracy, difference in zip((60, 70, 80), thresholds):  # rounded there to a digit or two
        found = delta_accuracy(metric, -difference, tokenize)
        assert found == pytest.approx(accuracy, abs=2 if metric == "MetricX-23-L" else 0.6)


def test_bleu_of_other_tokens_has_none() -> None:
    assert delta_accuracy("BLEU", 1, "flores101") is delta_accuracy("BLEU", 1, "spm") is None
    assert delta_accuracy("chrF", 1, "flores200") == delta_accuracy("chrF", 1)
    assert delta_accuracy("QE", 1) is None


HEADER = ["# name: QE", "# signature: Model1|fp32", "# better: lower"]


def segments(name: str, values: list[float], header: list[str] = HEADER) -> None:
    write(f"{name}.qe", [*header, *map(str, values)])


def test_numbers_of_another_program_are_a_metric(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    r, values = random.Random(0), {}
    for kind, mean in (("good", 0.2), ("poor", 0.6)):
        for seed in range(3):
            values[f"{kind}{seed}"] = [round(r.gauss(mean, 0.1), 5) for _ in range(47)]
            segments(f"{kind}{seed}", values[f"{kind}{seed}"])
    good = score(*RUNS, "--segments", "qe", "--paired")["systems"][0]
    output = capsys.readouterr().out
    means = {name: statistics.mean(each) for name, each in values.items()}
    assert good["scores"]["QE"]["runs"] == pytest.approx(
        [means[f"good{seed}"] for seed in range(3)], abs=1e-6
    )
    difference = statistics.mean(means[f"good{s}"] - means[f"poor{s}"] for s in range(3))
    assert good["scores"]["QE"]["difference"] == pytest.approx(difference, abs=1e-6)
    assert good["scores"]["QE"]["significant"]
    assert good["scores"]["QE"]["accuracy"] is None
    assert "QE ↓" in output
    assert f"{difference:+.4f} *" in output
    assert "    QE|Model1|fp32|better:lower|checkpoint:unstated" in output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: Path("poor1.qe").unlink(), "poor1.qe cannot be read"),
        (lambda: segments("poor1", [1.0] * 46), "poor1.qe has 46 numbers for 47 sentences"),
        (lambda: segments("poor1", [1.0] * 47, HEADER[:2]), "does not begin with the lines"),
        (
            lambda: segments("poor1", [1.0] * 47, [*HEADER[:2], "# better: up"]),
            "does not begin with the lines",
        ),
        (
            lambda: segments("poor1", [1.0] * 47, [HEADER[0], "# signature: Model2", HEADER[2]]),
            "poor1.qe has another name, signature or direction than good0.qe",
        ),
        (lambda: segments("poor1", [*[1.0] * 46, float("nan")]), "line 50: 'nan' is no finite"),
    ],
)
def test_numbers_that_make_no_metric_are_refused(change: Any, words: str, folder: Path) -> None:
    for name in ("good0", "good1", "good2", "poor0", "poor1", "poor2"):
        segments(name, [1.0] * 47)
    change()
    with pytest.raises(SystemExit, match=words):
        cli.main(["score", *RUNS, "--segments", "qe"])


def test_the_bootstrap_takes_any_sum_of_systems() -> None:
    """Systems that cancel leave the interval as it is, and a weight scales it."""
    references = sentences(20)
    measure = Measure([references])
    first, second, third = (
        np.stack([measure.counts(translate(references, share, seed)) for seed in range(3)])
        for share in (0.2, 0.4, 0.5)
    )
    plain = hierarchical_bootstrap([first, second], [1, -1], measure.score, 200, 1)
    systems = [first, second, third, third]
    cancelled = hierarchical_bootstrap(systems, [1, -1, -1, 1], measure.score, 200, 1)
    assert cancelled == pytest.approx(plain)
    twice = hierarchical_bootstrap([first, second], [2, -2], measure.score, 200, 1, level=0.2)
    assert (twice[0] > 2 * plain[0]).all()
    assert (twice[1] < 2 * plain[1]).all()
