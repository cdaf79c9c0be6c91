"""Measure what stands in docs/benchmarks.md.

usage: python -m benchmarks [--gpu] [--only NAME ...] [--repetitions N] [--quick] [--results FILE]
                            [--datastore FOLDER]

Parts: small and large (whole steps of two models), malloc (small again, with the memory settings of
scripts/common.sh), losses, curves, memory, stores, and index, which needs a datastore of
real keys. With ``--gpu``: gpu_losses, gpu_memory, gpu_large and gpu_iwslt, on a GPU that nobody
else uses. What is measured replaces the rows of that part in FILE (default:
benchmarks/results.json); the others stay. `python -m benchmarks.tables` writes the page from it.
``--quick`` runs every part once with tiny sizes and writes nothing unless FILE is given: it shows
that all runs, and its numbers mean nothing. Close other programs before; a few minutes a part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from . import index, losses, steps, stores
from .measuring import ON_GPU, RESULTS, Row, keep, pin
from .workbench import IWSLT, LARGE, SMALL, TINY, Size, Workbench

ROOT = Path(__file__).parent.parent


def parts(given: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part of the suite by its name."""
    quick, n = given.quick, given.repetitions

    @cache
    def bench(size: Size) -> Workbench:
        return Workbench(folder / f"{size.layers}x{size.dim}", size)

    def all_losses() -> Iterator[Row]:
        shapes = losses.GPU_SHAPES if given.gpu else losses.SHAPES
        for shape in (losses.TINY,) if quick else shapes:
            yield from losses.measure(shape, n)

    def memory() -> Iterator[Row]:
        yield losses.memory(losses.QUICK_MEMORY if quick else losses.MEMORY)

    def malloc() -> Iterator[Row]:
        if "MALLOC_TOP_PAD_" in os.environ:
            yield from steps.measure(bench(small), n)
            return
        results = folder / "malloc.json"
        again = [sys.executable, "-m", "benchmarks", "--only", "malloc", "--repetitions", str(n)]
        inside = ["bash", "-c", '. scripts/common.sh; "$@"', "scripts/common.sh"]
        subprocess.run([*inside, *again, "--results", results], cwd=ROOT, check=True)
        yield from json.loads(results.read_text())["malloc"]["rows"]

    small, large, iwslt = (TINY, TINY, TINY) if quick else (SMALL, LARGE, IWSLT)
    if given.gpu:
        return {
            "gpu_losses": all_losses,
            "gpu_memory": memory,
            "gpu_large": lambda: steps.measure(bench(large), n),
            "gpu_iwslt": lambda: steps.measure(bench(iwslt), n),
        }
    everything = {
        "small": lambda: steps.measure(bench(small), n),
        "large": lambda: steps.measure(bench(large), n),
        "malloc": malloc,
        "losses": all_losses,
        "curves": lambda: losses.curves(quick, n),
        "memory": memory,
        "stores": lambda: stores.measure(bench(large), n),
        "index": lambda: index.measure(given.datastore, quick),
    }
    if quick:
        del everything["large"], everything["malloc"]
    return everything


def main() -> None:
    """Measure, and keep each part as soon as it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--datastore", type=Path, help="of real keys, for the part `index`")
    parser.add_argument("--gpu", action="store_true", help="measure on a GPU")
    given = parser.parse_args()
    if given.gpu:
        os.environ[ON_GPU] = "1"
    if given.quick:
        given.repetitions = 1
    pin()
    results = given.results or (None if given.quick else RESULTS)
    with tempfile.TemporaryDirectory() as temporary:
        chosen = parts(given, Path(temporary))
        for name in given.only or chosen:
            if name not in chosen:
                parser.error(f"--only {name} is no part; there are {', '.join(chosen)}")
            rows = []
            for row in chosen[name]():
                print(name, json.dumps(row), flush=True)
                rows.append(row)
            if results and rows:
                keep(name, rows, results)


if __name__ == "__main__":
    main()
