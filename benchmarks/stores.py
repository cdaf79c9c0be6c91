"""Writing a store against the teacher's bare forward pass on the same sentences and batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from kd_plugin.stores.layout import belief_fields
from kd_plugin.teachers.recording import Recorder

from .measuring import Row, pairs, ratio_row
from .steps import OURS
from .workbench import Workbench, batches

SENTENCES = 600


def measure(bench: Workbench, repetitions: int) -> Iterator[Row]:
    """One row: the time of a record over that of the forward pass that it needs."""
    live = bench.trainer(*OURS, "word_kd", "--teacher-path", str(bench.teacher))
    batches(live, 1)
    teacher, pairs_of_text = live.criterion.teacher, live.task.dataset("train")
    vocabulary = len(live.task.target_dictionary)
    settings = {
        **{"kind": "beliefs", "vocabulary": vocabulary, "max_tokens": bench.size.max_tokens},
        **{"record": belief_fields(8, vocabulary, "float16"), "too_long": "error"},
    }
    recorder = Recorder(teacher, pairs_of_text, settings, torch.device("cpu"), "--path", "train")
    rows = range(min(SENTENCES, len(pairs_of_text)))
    samples = [
        pairs_of_text.collater([pairs_of_text[int(row)] for row in batch])
        for batch in recorder.cut(rows)
    ]
    (model,) = teacher.models

    @torch.no_grad()
    def forward() -> None:
        for sample in samples:
            model(**sample["net_input"])

    def records() -> None:
        recorder.records(rows, lambda *_: None)

    times = pairs(forward, records, repetitions)
    yield ratio_row(
        times, len(samples), id="B12", what="records of a store of 8", base="teacher's forward",
        model=str(bench.size), floor=1.0,
    )  # fmt: skip
