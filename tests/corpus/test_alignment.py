"""What the check of misaligned text keeps of the lines, and that it finds the same in parts."""

from __future__ import annotations

import random

import numpy as np
import pytest

from kd_plugin.corpus import alignment as checked
from kd_plugin.corpus.alignment import Alignment, Verdict

ROWS = 2000


def text(seed: int) -> list[tuple[str, str]]:
    """Sources, and translations of about their lengths that keep a number now and then."""
    generator, found = random.Random(seed), []
    for _ in range(ROWS):
        length = max(1, int(generator.lognormvariate(2.3, 0.5)))
        number = str(generator.randint(1, 99)) if generator.random() < 0.3 else ""
        far = max(1, round(length * generator.lognormvariate(0, 0.2)))
        found.append((f"{'s' * 4 * length} {number}", f"{'t' * 4 * far} {number}"))
    return found


def shifted(lines: list[tuple[str, str]], first: int, last: int) -> list[tuple[str, str]]:
    """The translation of line ``first`` is lost, and stands behind that of line ``last``."""
    sources, texts = map(list, zip(*lines))
    return list(
        zip(sources, [*texts[:first], *texts[first + 1 : last], texts[first], *texts[last:]])
    )


def verdict(lines: list[tuple[str, str]]) -> Verdict:
    alignment = Alignment()
    for pair in lines:
        alignment.add(*pair)
    return alignment.verdict()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "PART", 300)
    monkeypatch.setattr(checked, "OVERLAP", 100)


def test_32_bytes_a_line_of_a_part(parts: None) -> None:
    alignment = Alignment()
    kept = [*alignment.lengths, *alignment.shared.values()]
    assert sum(values.itemsize for values in kept) == 32
    most = 0
    for pair in text(1):
        alignment.add(*pair)
        most = max(most, *map(len, kept))
    assert most == 400


@pytest.mark.parametrize("seed", range(5))
def test_what_is_told_of_all_lines_does_not_depend_on_parts(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = text(seed)
    whole = verdict(lines)
    monkeypatch.setattr(checked, "PART", 170)
    monkeypatch.setattr(checked, "OVERLAP", 40)
    found = verdict(lines)
    lengths = np.log1p([[len(line) for line in pair] for pair in lines]).astype(np.float32)
    correlation = float(np.corrcoef(lengths.T.astype(np.float64))[0, 1])
    for one in (whole, found):
        assert one.length_correlation == pytest.approx(correlation, rel=1e-12)
        assert (one.copies, one.complaint) == (0, None)
    mixed = random.Random(seed).sample([theirs for _, theirs in lines], ROWS)
    complaint = verdict([(ours, theirs) for (ours, _), theirs in zip(lines, mixed)]).complaint
    assert complaint is not None
    assert "no liker their own sources" in complaint


@pytest.mark.parametrize(("first", "last"), [(50, 110), (260, 340), (350, 450), (900, 2000)])
def test_a_shift_is_told_wherever_it_lies(parts: None, first: int, last: int) -> None:
    """Within a part, across the end of one, in the overlap, and over many."""
    complaint = verdict(shifted(text(3), first, last)).complaint
    assert complaint is not None
    assert "1 line before their own" in complaint
    words = complaint.split()
    begin, end = int(words[words.index("(lines") + 1]), int(words[words.index("to") + 1].strip(")"))
    assert abs(begin - first) < 12
    assert abs(end - last) < 12


def test_text_in_order_of_length_is_let_through(parts: None) -> None:
    """In a part of it lengths say nothing, and in all of it they do."""
    lines = sorted(text(4), key=lambda pair: len(pair[0]))
    assert verdict(lines).complaint is None
