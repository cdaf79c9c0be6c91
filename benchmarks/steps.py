"""A whole training step of each method against a step of stock fairseq.

The floor of a ratio is what the floating-point operations allow, since a backward pass costs two
forward passes: what the method must compute beside the student, as a share of three forward passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fairseq.trainer import Trainer
from torch.utils.flop_counter import FlopCounterMode

from kd_plugin.host.device import moved

from .measuring import Apart, Row, close, device, ratio_row, timed_pairs
from .workbench import STOCK, Workbench, batches

OURS = ("--task", "distillation", "--criterion")
BOTH = ("--nll-weight", "0.5", "--kd-weight", "0.5")
WARM_UP = 3  # times all batches: memory is laid out by then


@dataclass(frozen=True)
class Case:
    """A ratio: its name in the docs, what a step is, its flags, and what it computes besides."""

    name: str
    what: str
    flags: tuple[str, ...]
    teacher: int = 0  # passes of the teacher's decoder
    student: int = 1  # passes of the student's decoder
    projections: int = 0  # of all tokens to the vocabulary, without gradient
    texts: int = 1  # that the whole student reads


def cases(bench: Workbench) -> Iterator[Case]:
    """Every method, from the stores that suit it."""
    top8 = ("--teacher-store", bench.store("top8", "--top-k", "8"))
    features = ("--teacher-store", bench.store("features", "--features"))
    live = ("--teacher-path", str(bench.teacher))
    text = ("--distilled-data", str(bench.data))
    near = ("--teacher-store", bench.neighbours(8))
    yield Case(
        "S3",
        "word_kd, `--kd-weight 0`",
        (*OURS, "word_kd", "--nll-weight", "1", "--kd-weight", "0"),
    )
    yield Case("S1, S2", "word_kd, store of 8", (*OURS, "word_kd", *BOTH, *top8))
    yield Case("S4", "word_kd, teacher in memory", (*OURS, "word_kd", *BOTH, *live), teacher=1)
    yield Case(
        "S5", "tie_kd, teacher in memory, k 5, N 3", (*OURS, "tie_kd", *BOTH, *live),
        teacher=3, student=3,
    )  # fmt: skip
    yield Case("S6", "word_kd, features store", (*OURS, "word_kd", *BOTH, *features), projections=1)
    yield Case("S7", "seq_kd", (*OURS, "seq_kd", "--nll-weight", "0", *text))
    yield Case("S7", "selective_kd, store of 8", (*OURS, "selective_kd", *top8), projections=1)
    yield Case("S7", "knn_kd, 8 neighbours", (*OURS, "knn_kd", *BOTH, *near))
    yield Case(
        "S7", "annealing_kd, features store",
        (*OURS, "annealing_kd", "--anneal-updates", "100000", *features), projections=1,
    )  # fmt: skip
    yield Case("S7", "hybrid_kd, store of 8", (*OURS, "hybrid_kd", *text, *top8), texts=2)


def measure(bench: Workbench, repetitions: int) -> Iterator[Row]:
    """A row for each case, as it is measured."""
    stock = bench.trainer(*STOCK, exact=True)
    plain = batches(stock, bench.size.batches)
    operations = flops(stock.model, plain)
    with Apart(steps, bench, STOCK, repetitions) as theirs:
        for case in cases(bench):
            ours = bench.trainer(*case.flags, exact=True)
            sample = batches(ours, len(plain))[0]
            require_equal_outputs(bench, case, stock, ours, plain[0], sample)
            with Apart(steps, bench, case.flags, repetitions) as work:
                times = timed_pairs(theirs, work, repetitions)
            yield ratio_row(
                times, len(plain), id=case.name, what=case.what,
                base="label_smoothed_cross_entropy", model=str(bench.size),
                floor=round(floor_of(case, operations), 4),
            )  # fmt: skip


def steps(bench: Workbench, flags: Sequence[str], repetitions: int) -> Callable[[], None]:
    """One update on each batch; they have been made a few times when it is there."""
    trainer = bench.trainer(*flags)
    samples = batches(trainer, bench.size.batches)

    def work() -> None:
        for sample in samples:
            trainer.train_step([sample])

    for _ in range(min(WARM_UP, repetitions)):
        work()
    return work


def require_equal_outputs(
    bench: Workbench, case: Case, stock: Trainer, ours: Trainer, plain: Any, sample: Any
) -> None:
    """Loss and gradients in chunks are those of the dense loss, and of fairseq where it has it."""
    dense = bench.trainer(*case.flags, "--kd-fused", "off", exact=True)
    batches(dense, 1)  # loads the data of its task
    told = loss_and_gradients(ours, sample)
    close(told, loss_and_gradients(dense, sample), rtol=1e-4)
    if case.name == "S3":
        close(told, loss_and_gradients(stock, plain), rtol=1e-4)


def loss_and_gradients(trainer: Trainer, sample: Any) -> list[torch.Tensor]:
    """Without dropout."""
    trainer.model.eval()
    trainer.model.zero_grad()
    torch.manual_seed(1)
    loss, _, _ = trainer.criterion(trainer.model, moved(sample, device()))
    loss.backward()
    found = [p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]
    both = [loss.detach(), torch.cat(found)]
    trainer.model.zero_grad()
    trainer.model.train()
    return both


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of forward passes."""

    encoder: int
    decoder: int  # with the projection
    projection: int


def flops(model: Any, samples: Sequence[Any]) -> Operations:
    """Counted by torch, padding included."""
    encoder = whole = tokens = 0
    for sample in samples:
        inputs = moved(sample["net_input"], device())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.train()(**inputs)
        whole += counter.get_total_flops()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.encoder(inputs["src_tokens"], inputs["src_lengths"])
        encoder += counter.get_total_flops()
        tokens += inputs["prev_output_tokens"].numel()
    vocabulary, width = model.decoder.output_projection.weight.shape
    return Operations(encoder, whole - encoder, 2 * tokens * vocabulary * width)


def floor_of(case: Case, one: Operations) -> float:
    """The teacher has the student's size; its encoder runs once, as the student's does."""
    student = case.texts * (one.encoder + case.student * one.decoder)
    teacher = bool(case.teacher) * one.encoder + case.teacher * one.decoder
    extra = case.projections * one.projection
    return (3 * student + teacher + extra) / (3 * (one.encoder + one.decoder))
