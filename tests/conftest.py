"""What many tests share: a corpus and trained teachers, made once."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two threads stall on small models

from pathlib import Path
from typing import Any

import fairseq.data
import pytest

from kd_plugin.host import mends

from . import support
from .stored import cache

SIZES = {"train": 150, "valid": 23, "test": 11}
LONG = (
    "test_smoke.py",
    "test_quickstart.py",
    "test_readme.py",
    "test_ranks.py",
    "test_training.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes begin first, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.write_corpus(tmp_path_factory.mktemp("data") / "bin", SIZES)


@pytest.fixture(scope="session")
def distilled(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The train and valid sources with other targets, as a teacher might write them."""
    pairs = {}
    for split in ("train", "valid"):
        sources = (data.with_name("bin.text") / f"{split}.xx").read_text().splitlines()
        pairs[split] = [(line, line.upper() + " W0") for line in sources]
    return support.binarise(tmp_path_factory.mktemp("distilled") / "bin", pairs, data)


@pytest.fixture(scope="session")
def teacher(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformer wider and deeper than the student, trained for a moment by stock fairseq."""
    folder = tmp_path_factory.mktemp("teacher")
    support.fairseq_train(
        data,
        folder,
        *support.WIDER,
        "--criterion",
        "label_smoothed_cross_entropy",
        "--max-update",
        25,
        "--seed",
        3,
    )
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def second_teacher(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LSTM."""
    folder = tmp_path_factory.mktemp("lstm")
    support.fairseq_train(
        data,
        folder,
        "--arch",
        "lstm",
        "--encoder-embed-dim",
        10,
        "--decoder-embed-dim",
        10,
        "--encoder-hidden-size",
        12,
        "--decoder-hidden-size",
        12,
        "--decoder-out-embed-dim",
        10,
        "--criterion",
        "cross_entropy",
        "--max-update",
        15,
        "--seed",
        4,
    )
    return folder / "checkpoint_last.pt"


# fairseq's batching, compiled and in Python.


@pytest.fixture(scope="session")
def compiled_batching() -> Any:
    """fairseq's own compiled module."""
    spec = importlib.machinery.PathFinder.find_spec(mends.FAST, fairseq.data.__path__)
    if spec is None or spec.loader is None:
        why = "fairseq's compiled batching is not installed; run ./scripts/setup.sh --compile"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["compiled", "pure"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of host, one after the other; the commands that are started see it, too."""
    name = str(request.param)
    if name == "compiled":
        module = request.getfixturevalue("compiled_batching")
        monkeypatch.delenv(mends.PURE, raising=False)
    else:
        module = mends.batching()
        monkeypatch.setenv(mends.PURE, "1")
    monkeypatch.setitem(sys.modules, mends.FAST, module)
    monkeypatch.setattr("fairseq.data.data_utils_fast", module, raising=False)
    return name


# Stores of the tests' teacher, written once.


@pytest.fixture(scope="session")
def vocabulary(data: Path) -> int:
    return len(support.build(data, *support.TINY).task.tgt_dict)


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
