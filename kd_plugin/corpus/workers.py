"""One function on all cores, its results in order, whatever the number of processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..errors import InputError

Mapping = Callable[[Iterable[Any]], Iterator[Any]]
_function: Callable[[Any], Any]  # of a worker


@contextlib.contextmanager
def in_order(function: Callable[[Any], Any], workers: int) -> Iterator[Mapping]:
    """A ``map`` that computes ahead by two items a worker, so that memory does not grow.

    Processes are forked at once: open files that only this process may hold afterwards. They end
    when this process does, however that happens.

    Args:
        function: inherited by the workers, not sent; items and results are sent.
        workers: processes; 1 computes here.
    """
    if workers == 1:
        yield lambda items: map(function, items)
        return
    context = multiprocessing.get_context("fork")
    begin = (function, os.getpid())
    with ProcessPoolExecutor(workers, context, _begin, begin) as pool:
        pool.submit(os.getpid).result()
        yield lambda items: _ahead(pool, items, 2 * workers)


def _ahead(pool: ProcessPoolExecutor, items: Iterable[Any], most: int) -> Iterator[Any]:
    waiting: deque[Any] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_apply, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, probably for memory; run the same command again, which "
            "goes on, with fewer --workers"
        ) from None
    finally:
        for future in waiting:
            future.cancel()


def _begin(function: Callable[[Any], Any], parent: int) -> None:
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says that it was stopped
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _apply(item: Any) -> Any:
    return _function(item)
