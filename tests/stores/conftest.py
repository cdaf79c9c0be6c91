"""Stores of the tests' teacher, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support import TINY, build
from .common import cache


@pytest.fixture(scope="session")
def vocabulary(data: Path) -> int:
    return len(build(data, *TINY).task.tgt_dict)


@pytest.fixture(scope="session")
def whole(
    data: Path, teacher: Path, vocabulary: int, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Every entry, in float32."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    return cache(data, teacher, folder, "--top-k", vocabulary, "--dtype", "float32")


@pytest.fixture(scope="session")
def features(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "store"
    return cache(data, teacher, folder, "--features", "--dtype", "float32")


@pytest.fixture(scope="session")
def top8(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache(data, teacher, tmp_path_factory.mktemp("top8") / "store", "--block-size", 37)
