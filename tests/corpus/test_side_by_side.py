"""Decodings that wait for a device take turns, and none is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

from kd_plugin.corpus.decoding import Decoding, Found, side_by_side


def test_each_decoding_is_finished_and_few_are_under_way() -> None:
    draw = random.Random(1)
    waits = [draw.randrange(4) for _ in range(40)]
    under_way: set[int] = set()
    most = 0

    def decoding(number: int) -> Decoding:
        nonlocal most
        for _ in range(waits[number]):
            under_way.add(number)
            most = max(most, len(under_way))
            yield
        under_way.discard(number)
        return {number: []}

    found: Found = {}
    for ours in side_by_side(map(decoding, range(40)), most=3):
        found |= ours
    assert found == {number: [] for number in range(40)}
    assert most == 3
    assert not under_way


def test_the_next_one_is_begun_before_the_first_is_awaited() -> None:
    told: list[str] = []

    def decoding(number: int) -> Decoding:
        told.append(f"ask {number}")
        yield
        told.append(f"await {number}")
        return {}

    def begun() -> Iterator[Decoding]:
        return map(decoding, range(4))

    assert len([*side_by_side(begun(), most=2)]) == 4
    assert told == [
        "ask 0", "ask 1", "await 0", "ask 2", "await 1", "ask 3", "await 2", "await 3",
    ]  # fmt: skip
    told.clear()
    assert len([*side_by_side(begun(), most=1)]) == 4
    assert told[:4] == ["ask 0", "await 0", "ask 1", "await 1"]
