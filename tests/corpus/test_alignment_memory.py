"""What the check of misaligned text keeps of a line."""

from __future__ import annotations

from kd_plugin.corpus.alignment import Alignment


def test_32_bytes_a_line() -> None:
    alignment = Alignment()
    for number in range(100):
        alignment.add(f"a b {number}", f"c {number}")
    kept = [*alignment.lengths, *alignment.shared.values()]
    assert sum(values.itemsize for values in kept) == 32
    assert all(69 <= len(values) <= 100 for values in kept)
