"""Decoding with CTranslate2 against fairseq's own search, and against CTranslate2 by itself.

For the first checkpoint: the driver of ``fairseq-kd generate`` with each engine, from ids to the
compressed lines of a corpus, against fairseq's search at its fastest batch and against bare calls
of CTranslate2 at its fastest. With --references, for each checkpoint: BLEU, size as exported, and
speed, by engine and precision. Everything is interleaved, on one thread pinned to one core; seconds
are the processor's, so that other work on the machine counts little. With --wall, for an idle
machine, they are the clock's, still with one thread for the model, but on any core: what our driver
does meanwhile on another one costs no time then.

The ratios replace the part `decoding` of FILE (default: benchmarks/results.json), from which
`python -m benchmarks.tables` writes docs/benchmarks.md; the rest is printed.

usage: python -m benchmarks.decoding DATA CHECKPOINT... [--references FILE] [--beam 5 ...]
                                     [--wall] [--results FILE]

  python -m benchmarks.decoding mine/bin mine/teacher/checkpoint_best.pt \\
      mine/word_kd/checkpoint_last.pt --references mine/text/raw/test.en
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import sacrebleu
import torch

from kd_plugin.corpus.decoding import Decoder, Found, Search
from kd_plugin.corpus.engine_ctranslate2 import CTranslate2Decoder, translator_of
from kd_plugin.corpus.generate import Work, write_blocks
from kd_plugin.corpus.records import unpack
from kd_plugin.corpus.text import joined
from kd_plugin.data.subset import read_subset
from kd_plugin.files.blocks import BlockWriter
from kd_plugin.models.outside import export_outside
from kd_plugin.models.weights import export
from kd_plugin.tasks.distillation import DistillationTask
from kd_plugin.teachers.checkpoints import load_teacher

from .measuring import RESULTS, Row, keep, machine, pin, ratio_row, seconds

CPU = torch.device("cpu")
FAIRSEQ = (500, 1000, 2000, 4000)  # source tokens in a batch
BARE = (128, 256, 512, 1024, 2048)
PRECISIONS = {"float32": "float32", "int8": "int8_float32"}
ENGINES = ("fairseq float32", *(f"CTranslate2 {precision}" for precision in PRECISIONS))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.decoding")
    add = parser.add_argument
    add("data")
    add("checkpoints", nargs="+")
    add("--subset", default="test")
    add("--references", type=Path, help="raw text of the subset's target side, for BLEU")
    add("--beam", type=int, default=5)
    add("--max-len-a", type=float, default=2)
    add("--max-len-b", type=int, default=10)
    add("--sentences", type=int, default=3000, help="the first ones of the subset")
    add("--repetitions", type=int, default=5)
    add("--wall", action="store_true", help="on an idle machine: the clock's seconds")
    add("--results", type=Path, default=RESULTS)
    return parser.parse_args()


class Contest:
    """One checkpoint, searched by each engine."""

    def __init__(self, task: Any, path: str, given: argparse.Namespace):
        self.task, self.path = task, path
        self.pairs = read_subset(task, task.cfg.data, given.subset)
        self.rows = range(min(given.sentences, len(self.pairs)))
        self.search = Search(beam=given.beam, max_len_a=given.max_len_a, max_len_b=given.max_len_b)
        self.decoders: dict[str, Any] = {
            "fairseq float32": Decoder(task, self.models(), self.search, CPU),
            **{f"CTranslate2 {name}": self.converted(c) for name, c in PRECISIONS.items()},
        }
        teacher = load_teacher(path, task, task.cfg.data)
        self.work = Work(task, self.pairs, self.rows, teacher, self.search)
        self.distinct = self.work.to_decode(self.rows)
        self.found: dict[str, Found] = {}
        self.seconds = partial(
            seconds, clock=time.perf_counter if given.wall else time.process_time
        )

    def models(self) -> Any:
        return load_teacher(self.path, self.task, self.task.cfg.data).models

    def converted(self, compute: str) -> CTranslate2Decoder:
        return CTranslate2Decoder(self.task, self.models(), self.search, CPU, compute)

    def run(self, engine: str) -> float:
        """Seconds for all sentences, to compressed lines."""
        decoder, size = self.decoders[engine], self.search.block_size
        with (
            tempfile.TemporaryDirectory() as folder,
            BlockWriter(Path(folder) / "corpus", {}) as writer,
        ):
            took = self.seconds(lambda: write_blocks(writer, self.work, decoder, size))
            lines = [line for block in writer.blocks() for line in unpack(block)]
        self.found[engine] = {line["id"]: line["hypotheses"] for line in lines}
        return took

    def told(self) -> str:
        """Model and search, for a table."""
        cfg = self.models()[0].cfg
        layers = f"{cfg.encoder.layers}+{cfg.decoder.layers}x{cfg.decoder.embed_dim}"
        vocabulary = len(self.task.target_dictionary)
        return f"{layers}, V {vocabulary:,}, {len(self.rows):,} sentences, beam {self.search.beam}"

    def same(self, engine: str) -> float:
        """Share of sentences whose best translation is fairseq's."""
        theirs, ours = self.found["fairseq float32"], self.found[engine]
        equal: list[bool] = [
            theirs[row][0]["tokens"] == ours[row][0]["tokens"] for row in self.rows
        ]
        return sum(equal) / len(equal)

    def take_fastest_batch(self) -> int:
        """fairseq's, of a few; the search of every other engine keeps its own."""
        decoder = self.decoders["fairseq float32"]
        times = {}
        for size in FAIRSEQ:
            decoder.search = replace(self.search, max_tokens=size)
            times[size] = self.run("fairseq float32")
        best = min(times, key=lambda size: times[size])
        decoder.search = replace(self.search, max_tokens=best)
        return best

    def bare(self, compute: str) -> Callable[[], float]:
        """CTranslate2 alone, at its fastest batch: ids in, translations out, one call for all."""
        translator = translator_of(self.task, self.models()[0], CPU, compute)
        sources = [[str(i) for i in self.pairs.src[row].tolist()] for row in self.distinct]
        longest = self.search.length_limit(max(map(len, sources)), 1024)

        def run(size: int) -> float:
            return self.seconds(
                lambda: translator.translate_batch(
                    sources, beam_size=self.search.beam, max_batch_size=size, batch_type="tokens",
                    max_decoding_length=longest, max_input_length=0, return_scores=True,
                )
            )  # fmt: skip

        best = min(BARE, key=run)
        return lambda: run(best)

    def replay(self, engine: str) -> Callable[[], float]:
        """The very calls that our driver makes, and nothing else."""
        decoder = self.decoders[engine]
        translator, calls = decoder.translator, []

        def listen(sources: list[list[str]], **options: Any) -> Any:
            calls.append((sources, options))
            return translator.translate_batch(sources, **options)

        decoder.translator = SimpleNamespace(translate_batch=listen)
        decoder.decode(self.pairs, self.distinct)
        decoder.translator = translator
        again = sum(len(s) for s, options in calls if options["min_decoding_length"])
        print(f"{engine} searches {again / len(self.distinct):.1%} of the sentences twice\n")

        def run() -> None:
            for sources, options in calls:
                for answer in translator.translate_batch(sources, **options):
                    answer.result()

        return lambda: self.seconds(run)


def told(values: Sequence[float], digits: int = 3) -> str:
    """Median and range."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def speeds(contest: Contest, repetitions: int) -> list[Row]:
    """The ratios of one checkpoint."""
    size = contest.take_fastest_batch()
    print(f"fairseq's fastest batch: {size} source tokens\n")
    runs: dict[str, Callable[[], float]] = {e: partial(contest.run, e) for e in ENGINES}
    for precision, compute in PRECISIONS.items():
        runs[f"the same calls, {precision}"] = contest.replay(f"CTranslate2 {precision}")
        runs[f"one bare call, {precision}"] = contest.bare(compute)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, run in runs.items():
            times[name].append(run())

    def row(what: str, above: str, ours: str) -> Row:
        both = zip(times[ours], times[above])
        return ratio_row(both, 1, what=what, model=contest.told())

    rows = []
    for precision in PRECISIONS:
        ours = f"CTranslate2 {precision}"
        equal = f"{contest.same(ours):.2%} of the best translations are fairseq's"
        rows.append(row(f"fairseq / our driver, {precision}; {equal}", "fairseq float32", ours))
    for precision in PRECISIONS:
        for name in ("the same calls", "one bare call"):
            what = f"{name} of CTranslate2 / our driver, {precision}"
            rows.append(row(what, f"{name}, {precision}", f"CTranslate2 {precision}"))
    for each in rows:
        print(f"{each['what']}: {each['ratio']:.3f}")
    return rows


def megabytes(contest: Contest, engine: str) -> float:
    """Of the exported model with its vocabularies; fairseq's checkpoint has none."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out"
        if engine.startswith("fairseq"):
            export(Path(contest.path), output)
            return output.stat().st_size / 1e6
        quantization = "int8" if engine.endswith("int8") else None
        export_outside(Path(contest.path), output, contest.task.cfg.data, (), quantization)
        return sum(file.stat().st_size for file in output.iterdir()) / 1e6


def bleu(contest: Contest, engine: str, references: Path) -> str:
    found = contest.found[engine]
    lines = [joined(found[row][0]["text"]) for row in contest.rows]
    wanted = references.read_text("utf-8").splitlines()[: len(lines)]
    return f"{sacrebleu.corpus_bleu(lines, [wanted]).score:.2f}"


def models(contests: Sequence[Contest], references: Path, repetitions: int) -> None:
    """A row for each checkpoint and engine."""
    print(
        "\n| checkpoint | engine | BLEU | MB | sentences a second (range) |\n|---|---|---|---|---|"
    )
    for contest in contests:
        if contest is not contests[0]:  # whose fastest batch is known
            contest.take_fastest_batch()
        rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        for _ in range(repetitions):
            for engine in ENGINES:
                rates[engine].append(len(contest.rows) / contest.run(engine))
        name = Path(contest.path).parent.name
        for engine in ENGINES:
            size = megabytes(contest, engine)
            score = bleu(contest, engine, references)
            print(f"| {name} | {engine} | {score} | {size:.2f} | {told(rates[engine], 0)} |")
            name = ""


def main() -> None:
    """Print the tables as Markdown."""
    given = arguments()
    pin(one_core=not given.wall)
    task = DistillationTask.of_data(given.data)
    contests = [Contest(task, path, given) for path in given.checkpoints]
    first = contests[0]
    for engine in ENGINES:  # before a time is quoted
        first.run(engine)
    if first.same("CTranslate2 float32") < 0.999:
        raise SystemExit("the engines translate differently; no time is told")
    print(
        f"{machine()}, one thread, torch {torch.__version__}, CTranslate2 {ctranslate2.__version__}"
        f"; {len(first.rows)} sentences, beam {given.beam}, {given.repetitions} repetitions\n"
    )
    with contextlib.redirect_stderr(io.StringIO()):
        rows = speeds(first, given.repetitions)
        keep("decoding", rows, given.results, "benchmarks.decoding")
        if given.references is not None:
            models(contests, given.references, given.repetitions)


if __name__ == "__main__":
    main()
