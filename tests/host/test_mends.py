"""What stands in for the host's missing parts behaves as the host's own."""

from __future__ import annotations

import hashlib
import importlib.machinery
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from kd_plugin.host import mends as host

from ..support import command

Case = tuple[host.Indices, host.Indices, int, int, int]


def cases(count: int) -> Iterator[Case]:
    generator = random.Random(7)
    for _ in range(count):
        sizes = [generator.randint(1, 29) for _ in range(generator.randint(1, 60))]
        order = list(range(len(sizes)))
        if generator.random() < 0.5:
            sizes.sort()
            generator.shuffle(order)
        limits = (generator.choice([-1, 30, 47, 100, 200]), generator.choice([-1, 1, 3, 5, 8]))
        multiple = generator.choice([1, 2, 3, 8])
        yield np.array(order), np.array(sizes), *limits, multiple


def test_batches_are_those_of_the_compiled_function() -> None:
    """The digest is of what fairseq-fixed 0.12.3.1's compiled batch_by_size_vec returns."""
    digest = hashlib.sha256()
    for case in cases(1000):
        digest.update(repr([batch.tolist() for batch in host.batch_by_size(*case)]).encode())
    assert digest.hexdigest() == "d938f035aeb0e36a33a7ea390a6dc2b9572d8afe67d3eeec99a3f306b62eefe4"


def test_batches_hold_every_sentence_once_and_in_order() -> None:
    for order, sizes, *limits in cases(200):
        batches = host.batch_by_size(order, sizes, *limits)
        assert np.concatenate(batches).tolist() == order.tolist()
        assert all(len(batch) for batch in batches)


def test_batching_with_a_function_is_batching_with_sizes() -> None:
    for order, sizes, *limits in cases(50):
        size_of = dict(zip(order.tolist(), sizes.tolist()))
        ours = host._batch_by_size_fn(order, size_of.__getitem__, *limits)
        expected = host.batch_by_size(order, sizes, *limits)
        assert [b.tolist() for b in ours] == [b.tolist() for b in expected]


def test_nothing_to_batch() -> None:
    nothing = np.array([], dtype=np.int64)
    assert host.batch_by_size(nothing, nothing, 9, 9, 8) == []


def test_a_sentence_above_the_limit_is_an_error() -> None:
    with pytest.raises(AssertionError, match="should not exceed max_tokens=9"):
        host.batch_by_size(np.arange(2), np.array([3, 10]), 9, -1, 1)


def test_the_stand_in_is_what_fairseq_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import fairseq.data
    from fairseq.data.data_utils import batch_by_size

    monkeypatch.delitem(sys.modules, host.FAST, raising=False)
    monkeypatch.setattr(fairseq.data, "data_utils_fast", None, raising=False)
    host.provide_batching()
    assert isinstance(sys.modules[host.FAST].__spec__, importlib.machinery.ModuleSpec)
    sizes = np.array([3, 4, 5])
    batches = batch_by_size(np.arange(3), sizes.__getitem__, max_tokens=8)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2]]
    with pytest.raises(ImportError, match="--num-batch-buckets needs fairseq's compiled parts"):
        sys.modules[host.FAST].batch_fixed_shapes_fast([], None, None)


def test_safe_loading_is_on_and_stays_on() -> None:
    """What a checkpoint needs is registered, one class at a time; functions that act are not."""
    registered = torch.serialization.get_safe_globals()
    names = {
        getattr(item[0] if isinstance(item, tuple) else item, "__name__", "") for item in registered
    }
    assert {"Namespace", "ndarray", "DictConfig"} <= names
    assert not names & {"eval", "exec", "system", "getattr", "Popen"}


def test_a_thread_that_loads_ahead_does_not_abort_the_end(tmp_path: Path) -> None:
    """One is inside torch all the time, one waits at a full queue."""
    code = """
import torch, kd_plugin
from fairseq.data.iterators import BufferedIterator

class Batches:
    def __len__(self):
        return 10**9

    def __iter__(self):
        while True:
            yield torch.stack([torch.arange(9) for _ in range(50)])

busy, full = BufferedIterator(10**9, Batches()), BufferedIterator(1, Batches())
print(len(next(busy)), len(next(full)))
"""
    done = command("python", "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "50 50\n", "")
