"""How things are measured, in pairs A B A B: processor time of one thread on one core.

On a GPU it is the time by the clock.
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kd_plugin.files.whole import to_json, write_atomically

Row = dict[str, Any]
RESULTS = Path(__file__).with_name("results.json")
ON_GPU = "KD_BENCHMARKS_ON_GPU"  # set: for this process and those that it starts
PACKAGES = (
    *("torch", "fairseq-fixed", "fairseq", "numpy", "faiss-cpu", "ctranslate2"),
    *("liger-kernel", "cut-cross-entropy"),
)


def on_gpu() -> bool:
    """Whether all is measured on a GPU."""
    return ON_GPU in os.environ


def device() -> torch.device:
    """Where all is measured."""
    return torch.device("cuda" if on_gpu() else "cpu")


def pin(one_core: bool = True) -> None:
    """Compute with one thread, in silence: fairseq tells every setting of every run."""
    logging.disable(logging.INFO)
    if one_core and not on_gpu() and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Processor time of a piece of work; what other processes take is not in it.

    On a GPU the time from an idle GPU to an idle GPU.
    """
    if on_gpu():
        clock = _gpu_clock
    begin = clock()
    work()
    return clock() - begin


def _gpu_clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def pairs(
    base: Callable[[], object], ours: Callable[[], object], repetitions: int
) -> list[tuple[float, float]]:
    """Seconds of both, one after the other, so many times; once before, for warming up."""
    return timed_pairs(partial(seconds, base), partial(seconds, ours), repetitions)


def timed_pairs(
    base: Callable[[], float], ours: Callable[[], float], repetitions: int
) -> list[tuple[float, float]]:
    """The same of work that tells its own seconds."""
    base(), ours()
    return [(base(), ours()) for _ in range(repetitions)]


class Apart:
    """Work in a process of its own, as a command of the user's: a call does it and gives seconds.

    What one program leaves free in the memory of a process makes another's arrays cheaper.
    """

    def __init__(self, make: Callable[..., Callable[[], object]], *arguments: Any):
        """``make(*arguments)``, in the process, gives the work; all of it can be pickled."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([make.__module__])
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self.process.start()
        theirs.close()

    def __call__(self) -> float:
        self.pipe.send(True)
        told: float = self.pipe.recv()
        return told

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.close()
        self.process.join()


def _serve(pipe: Any, make: Callable[..., Callable[[], object]], arguments: Sequence[Any]) -> None:
    pin()
    work = make(*arguments)
    with contextlib.suppress(EOFError):
        while pipe.recv():
            pipe.send(seconds(work))


def ratio_row(times: Iterable[tuple[float, float]], steps: int, **what: Any) -> Row:
    """Median, smallest and largest ratio of pairs, and the median seconds of each for a step."""
    times = list(times)
    ratios = [ours / base for base, ours in times]
    return {
        **what,
        "ratio": round(statistics.median(ratios), 4),
        "range": [round(min(ratios), 4), round(max(ratios), 4)],
        "repetitions": len(times),
        "seconds": [_median(each) / steps for each in zip(*times)],
    }


def keep(name: str, rows: Sequence[Row], results: Path, module: str = "benchmarks") -> None:
    """Put a part's rows into the file of results, with what measured them; other parts stay."""
    known = json.loads(results.read_text()) if results.exists() else {}
    known[name] = {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "machine": machine() if on_gpu() else f"{machine()}, one thread",
        "commit": commit(),
        "versions": installed(),
        "rows": list(rows),
    }
    write_atomically(results, to_json(known))


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 6)


def machine() -> str:
    """The name of what computes."""
    if on_gpu():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if "model name" in x] if info.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor()


def commit() -> str:
    """The repository's commit, with a plus sign where files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        name = subprocess.check_output([*git, "rev-parse", "--short", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + "+" * bool(changed.strip())


def installed() -> dict[str, str]:
    """The versions of the packages that matter; those that are missing are left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def close(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor], rtol: float) -> None:
    """Before a time is quoted: equal outputs, each by its largest number."""
    for a, b in zip(ours, theirs, strict=True):
        scale = b.abs().max().clamp(min=1e-30)
        torch.testing.assert_close(a / scale, b / scale, rtol=0, atol=rtol)
