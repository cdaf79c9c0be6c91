"""Student's t, against printed tables and by simulation."""

from __future__ import annotations

import random
import statistics

import pytest

from kd_plugin.report.student import MOST, quantile, seeds_needed, t_interval

PRINTED = {  # of statistical tables: degrees of freedom, and t of 0.975 and 0.995
    1: (12.706, 63.657), 2: (4.303, 9.925), 3: (3.182, 5.841), 4: (2.776, 4.604),
    5: (2.571, 4.032), 10: (2.228, 3.169), 29: (2.045, 2.756), 60: (2.000, 2.660),
}  # fmt: skip


@pytest.mark.parametrize("freedom", PRINTED)
def test_quantiles_are_those_of_printed_tables(freedom: int) -> None:
    found = [quantile(p, freedom) for p in (0.975, 0.995)]
    assert found == pytest.approx(PRINTED[freedom], abs=6e-4)
    assert quantile(0.5, freedom) == pytest.approx(0, abs=1e-9)


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    r = random.Random(0)
    for n, level in ((2, 0.05), (3, 0.2), (6, 0.05)):
        held = 0
        for _ in range(3000):
            low, high = t_interval([r.gauss(7, 2) for _ in range(n)], level)
            held += low < 7 < high
        assert held / 3000 == pytest.approx(1 - level, abs=0.02)


@pytest.mark.parametrize(("distance", "sd"), [(1.0, 0.5), (0.4, 0.4), (0.3, 0.5)])
def test_so_many_seeds_decide_four_times_of_five(distance: float, sd: float) -> None:
    n, r = seeds_needed(distance, sd) or 0, random.Random(1)
    decided = [t_interval([r.gauss(distance, sd) for _ in range(n)])[0] > 0 for _ in range(2000)]
    assert 0.75 < statistics.mean(decided) < 0.93  # n is whole, so it may be more
    fewer = [t_interval([r.gauss(distance, sd) for _ in range(n - 1)])[0] > 0 for _ in range(2000)]
    assert statistics.mean(fewer) < 0.81


def test_no_number_of_seeds_finds_nothing() -> None:
    assert seeds_needed(0, 0.4) is None
    assert seeds_needed(0, 0) is None
    assert seeds_needed(0.01, 1) is None
    assert seeds_needed(0.2, 0) == 2
    assert 2 < (seeds_needed(0.3, 1) or 0) <= MOST
