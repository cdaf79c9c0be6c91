"""Writing a store against the teacher's forward pass, and a step from it against a stock step.

The step is word_kd from a store of 8 entries, and from stored features, against a step of fairseq's
label_smoothed_cross_entropy; the floor of features is one more projection of all tokens to the
vocabulary. Everything is interleaved, on one thread pinned to one core.

usage: python -m benchmarks.stores [--layers 3 --dim 256 ...]
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq.trainer import Trainer

from kd_plugin.commands import cli
from kd_plugin.stores.layout import belief_fields
from kd_plugin.teachers.recording import Recorder

from .step import STOCK, arguments, batches, build, machine, measure, pin, prepare

WORD_KD = ["--task", "distillation", "--criterion", "word_kd"]
SENTENCES = 600  # of which the records are computed in a repetition


def cache(data: Path, name: str, *flags: str) -> str:
    """Write a store of the training set."""
    store = str(data / name)
    command = ["cache", str(data), "--path", str(data / "teacher.pt"), "--output", store, "--cpu"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main([*command, "--subset", "train", *flags])
    return store


def require_equal_outputs(live: Trainer, stored: Trainer, sample: Any, tolerance: float) -> None:
    """Before a time is quoted: the distillation term is that of the teacher in memory."""
    logs = []
    for trainer in (live, stored):
        trainer.model.load_state_dict(live.model.state_dict())
        logs.append(trainer.criterion(trainer.model.eval(), sample)[2])
    torch.testing.assert_close(logs[1]["kd_loss"], logs[0]["kd_loss"], rtol=tolerance, atol=0)


def forward_times(live: Trainer, max_tokens: int) -> tuple[float, float]:
    """Seconds of the bare forward pass, and of making records, for the same sentences."""
    teacher, pairs = live.criterion.teacher, live.task.dataset("train")
    vocabulary = len(live.task.target_dictionary)
    settings = {
        **{"kind": "beliefs", "vocabulary": vocabulary, "max_tokens": max_tokens},
        **{"record": belief_fields(8, vocabulary, "float16"), "too_long": "error"},
    }
    recorder = Recorder(teacher, pairs, settings, torch.device("cpu"), "--path", "train")
    rows = range(SENTENCES)
    samples = [pairs.collater([pairs[int(row)] for row in batch]) for batch in recorder.cut(rows)]
    (model,) = teacher.models
    begin = time.perf_counter()
    with torch.no_grad():
        for sample in samples:
            model(**sample["net_input"])
    middle = time.perf_counter()
    recorder.records(rows, lambda *_: None)
    return middle - begin, time.perf_counter() - middle


def row(name: str, ratios: Sequence[float], remark: str = "") -> str:
    """Median and range of a ratio."""
    middle = statistics.median(ratios)
    return f"| {name} | {middle:.3f} ({min(ratios):.3f}-{max(ratios):.3f}) | {remark} |"


def main() -> None:
    """Print the ratios as lines of Markdown."""
    given = arguments()
    pin()
    with tempfile.TemporaryDirectory() as temporary:
        data = prepare(Path(temporary), given)
        top8 = cache(data, "top8", "--top-k", "8")
        features = cache(data, "features", "--features")
        stock = build(data, given, *STOCK)
        live = build(data, given, *WORD_KD, "--teacher-path", str(data / "teacher.pt"))
        trainers = [
            build(data, given, *WORD_KD, "--teacher-store", store) for store in (top8, features)
        ]
        samples = {trainer: batches(trainer, given.batches) for trainer in (stock, *trainers)}
        batches(live, 1)
        for trainer, tolerance in zip(trainers, (0.2, 1e-3)):
            require_equal_outputs(live, trainer, samples[trainer][0], tolerance)
        for trainer in (stock, *trainers):
            measure(trainer, samples[trainer])  # warm up
        steps, forwards = [], []
        for _ in range(given.repetitions):
            steps.append([measure(t, samples[t]) for t in (stock, *trainers)])
            forwards.append(forward_times(live, given.max_tokens))
    print(
        f"{machine()}, one thread, torch {torch.__version__}, {given.layers}+{given.layers} x "
        f"{given.dim}/{given.ffn}, V {given.vocabulary}, {given.repetitions} repetitions\n"
    )
    print("| what | ratio (range) | |")
    print("|---|---|---|")
    print(row("step from a store of 8 entries / plain", [a[1] / a[0] for a in steps]))
    print(row("step from stored features / plain", [a[2] / a[0] for a in steps]))
    print(row("tokens a second of cache / bare forward", [a / b for a, b in forwards]))


if __name__ == "__main__":
    main()
