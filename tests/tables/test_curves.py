"""When one learning curve passes another, by hand."""

from __future__ import annotations

import pytest

from kd_plugin.tables.curves import common_end, curves, passes, reached

SLOW = [[10, 20.0, 10.0, None], [20, 10.0, 20.0, None], [40, 4.0, 40.0, None]]
FAST = [[10, 12.0, 30.0, None], [20, 11.0, 60.0, None], [40, 10.0, 120.0, None]]


def test_one_row_passes_another() -> None:
    """SLOW is 8 behind at 10 updates and 1 ahead at 20: it passes 8/9 of the way."""
    what, found = curves({"slow": [SLOW], "fast": [FAST], "short": [SLOW[:1]]})
    assert (what, list(found)) == ("perplexity", ["slow", "fast"])
    slow, fast = found["slow"], found["fast"]
    assert passes(slow, fast, "updates") == pytest.approx(10 + 10 * 8 / 9)
    assert passes(fast, slow, "updates") is None
    assert passes(slow, fast, "seconds") == 0  # 7 to 12 at 30 seconds, its first
    assert passes(fast, slow, "seconds") is None
    assert common_end(found, "updates") == 40
    assert common_end(found, "seconds") == 40
    assert reached(slow, "seconds", 40) == 4
    assert reached(fast, "seconds", 29) is None  # before its first validation
    assert reached(fast, "seconds", 40) == pytest.approx(12 - 10 / 30)


def test_only_the_last_crossing_counts() -> None:
    zigzag = [[10, 9.0], [20, 11.0], [30, 9.0], [40, 11.0], [50, 9.0]]
    flat = [[10, 10.0], [50, 10.0]]
    _, found = curves({"zigzag": [zigzag], "flat": [flat]})
    assert passes(found["zigzag"], found["flat"], "updates") == 45
    assert passes(found["flat"], found["zigzag"], "updates") is None
    assert passes(found["zigzag"], found["flat"], "seconds") is None  # which are not known
    assert common_end(found, "seconds") is None


def test_equal_rows_and_rows_that_never_meet() -> None:
    _, found = curves({"a": [SLOW], "b": [SLOW]})
    assert passes(found["a"], found["b"], "updates") is None
    late = [[100, 1.0, 1.0, None], [200, 0.5, 2.0, None]]
    _, found = curves({"a": [SLOW], "late": [late]})
    assert passes(found["late"], found["a"], "updates") is None


def test_the_mean_over_seeds_up_to_the_shortest() -> None:
    other = [[10, 10.0, 20.0, None], [30, 6.0, 60.0, None]]
    _, found = curves({"both": [SLOW, other]})
    curve = found["both"]
    assert curve.updates.tolist() == [10, 20]
    assert curve.reached.tolist() == [-15, -9]  # 20 and 10; 10 and 8
    assert curve.seconds is not None
    assert curve.seconds.tolist() == [15, 30]


def test_bleu_where_all_have_it() -> None:
    with_bleu = [[10, 20.0, 1.0, 5.0], [20, 9.0, 2.0, 6.0]]
    what, found = curves({"a": [with_bleu], "b": [[[10, 1.0, 1.0, 7.0], [20, 1.0, 2.0, 5.0]]]})
    assert what == "BLEU"
    assert passes(found["a"], found["b"], "updates") == pytest.approx(10 + 10 * 2 / 3)
    assert curves({"a": [with_bleu], "b": [SLOW]})[0] == "perplexity"
