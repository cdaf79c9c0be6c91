"""Random references, and translations of a chosen quality."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

WORDS = [f"{a}{b}{c}" for a in "kstm" for b in "aeiou" for c in ("", "n", "ro", "-li", ",")]

Translate = Callable[..., list[str]]


def sentences(count: int, seed: int = 0) -> list[str]:
    r = random.Random(seed)
    return [" ".join(r.choices(WORDS, k=r.randint(3, 17))) + "." for _ in range(count)]


def translate(references: list[str], wrong: float, seed: int) -> list[str]:
    """Each word replaced at random with probability ``wrong``."""
    r = random.Random(seed)
    return [
        " ".join(r.choice(WORDS) if r.random() < wrong else word for word in line.split())
        for line in references
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: 47 sentences, good0..2 and poor0..3 as runs of two systems."""
    monkeypatch.chdir(tmp_path)
    references = sentences(47)
    write("ref", references)
    for seed in range(3):
        write(f"good{seed}", translate(references, 0.1, seed))
    for seed in range(4):
        write(f"poor{seed}", translate(references, 0.4, 100 + seed))
    return tmp_path


def write(path: str, lines: list[str]) -> None:
    Path(path).write_bytes("".join(f"{line}\n" for line in lines).encode())
