"""The loss alone: from features and the output matrix to the gradients of both, and its memory.

Ours beside fairseq's way (all tokens' logits in one array) and beside libraries that make the same
loss in chunks, where they are installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss

from kd_plugin.ops import Divergence, SmoothedNLL, SoftTarget, Term, dense_loss, linear_loss

from .measuring import Row, close, device, on_gpu, pairs, ratio_row


@dataclass(frozen=True)
class Shape:
    """N tokens, width D, vocabulary V."""

    tokens: int
    width: int
    vocabulary: int

    def __str__(self) -> str:
        return f"N {self.tokens:,}, D {self.width}, V {self.vocabulary:,}"


SHAPES = (Shape(1024, 512, 10_000), Shape(1024, 512, 37_000))
GPU_SHAPES = (Shape(4096, 512, 10_000), Shape(4096, 512, 37_000))
MEMORY = Shape(4096, 512, 37_000)
TINY = Shape(50, 8, 60)
QUICK_MEMORY = Shape(2000, 8, 5000)

Loss = Callable[[], torch.Tensor]


class Problem:
    """Random features, matrix, gold tokens, and a teacher: whole, and its likeliest tokens."""

    def __init__(self, shape: Shape, kept: int = 8, epsilon: float = 0.1, whole: bool = True):
        """The same numbers for the same shape; only the kept ones where not ``whole``."""
        self.epsilon = epsilon
        torch.manual_seed(1)
        with device():
            self._draw(shape, kept, whole)

    def _draw(self, shape: Shape, kept: int, whole: bool) -> None:
        n, d, v = shape.tokens, shape.width, shape.vocabulary
        self.h = torch.randn(n, d, requires_grad=True)
        self.w = torch.randn(v, d).div_(d**0.5).requires_grad_()
        self.gold = torch.randint(v, (n,))
        self.one, self.half = torch.ones(n), torch.full((n,), 0.5)
        self.log_q = torch.empty(0)
        if whole:
            self.teacher_h, self.teacher_w = torch.randn(n, d), torch.randn(v, d) / d**0.5
            self.log_q = (torch.randn(n, v) * 2).log_softmax(-1)
        k = min(kept, v)
        self.kept = torch.randint(v // k, (n, k)) + torch.arange(k) * (v // k)  # k different ones
        self.kept_log_q = torch.randn(n, k).log_softmax(-1)

    def gradients(self, loss: Loss) -> list[torch.Tensor]:
        """The loss and the gradients of features and matrix."""
        value = loss()
        return [value.detach(), *torch.autograd.grad(value, [self.h, self.w])]

    def fairseq_nll(self) -> torch.Tensor:
        """As fairseq's criterion has it."""
        log_p = (self.h @ self.w.t()).log_softmax(-1)
        return self._nll(log_p)

    def _nll(self, log_p: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = label_smoothed_nll_loss(log_p, self.gold[:, None], self.epsilon)[0]
        return loss

    def fairseq_word_kd(self) -> torch.Tensor:
        """Label-smoothed NLL and the divergence from a whole belief, as criterions are written."""
        log_p = (self.h @ self.w.t()).log_softmax(-1)
        nll = self._nll(log_p)
        term = torch.nn.functional.kl_div(log_p, self.log_q, reduction="sum", log_target=True)
        return 0.5 * nll + 0.5 * term

    def nll(self) -> torch.Tensor:
        """Ours, in chunks."""
        return linear_loss(
            self.h,
            self.w,
            lambda _, i, j: [(self.one[i:j], SmoothedNLL(self.gold[i:j], self.epsilon))],
        )[0].sum()

    def word_kd(self) -> torch.Tensor:
        """Ours, in chunks, with a whole belief."""
        return linear_loss(
            self.h,
            self.w,
            lambda _, i, j: [
                (self.half[i:j], SmoothedNLL(self.gold[i:j], self.epsilon)),
                (self.half[i:j], Divergence(SoftTarget(self.log_q[i:j].exp(), self.log_q[i:j]))),
            ],
        )[0].sum()

    def live(self) -> torch.Tensor:
        """With the teacher's features and matrix, projected chunk by chunk."""

        def terms(_: torch.Tensor, i: int, j: int) -> list[tuple[torch.Tensor, Term]]:
            log_q = (self.teacher_h[i:j] @ self.teacher_w.t()).log_softmax(-1)
            return [
                (self.half[i:j], SmoothedNLL(self.gold[i:j], self.epsilon)),
                (self.half[i:j], Divergence(SoftTarget(log_q.exp(), log_q))),
            ]

        return linear_loss(self.h, self.w, terms)[0].sum()

    def stored(self, dense: bool = False) -> torch.Tensor:
        """From the kept tokens of a store."""

        def terms(_: torch.Tensor, i: int, j: int) -> list[tuple[torch.Tensor, Term]]:
            belief = SoftTarget(self.kept_log_q[i:j].exp(), self.kept_log_q[i:j], self.kept[i:j])
            return [
                (self.half[i:j], SmoothedNLL(self.gold[i:j], self.epsilon)),
                (self.half[i:j], Divergence(belief)),
            ]

        if dense:
            return dense_loss((self.h @ self.w.t()).log_softmax(-1), terms)[0].sum()
        return linear_loss(self.h, self.w, terms)[0].sum()


def peers(problem: Problem) -> Iterator[tuple[str, Loss, Loss]]:
    """Libraries' chunked losses that run on a CPU, where they are installed: what, theirs, ours."""
    h, w, gold = problem.h, problem.w, problem.gold
    try:
        from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDFunction
    except ImportError:
        pass
    else:
        for compiled in (False, True):

            def liger(compiled: bool = compiled) -> torch.Tensor:
                mean: torch.Tensor = LigerFusedLinearJSDFunction.apply(
                    *(h, w, problem.teacher_h, problem.teacher_w, gold, None, None),
                    *(0.5, 0.5, 0.0, -100, 1.0, compiled),
                )
                return mean * len(gold)

            how = "compiled" if compiled else "eager"
            yield f"word_kd, teacher's projection too / Liger, {how}", liger, problem.live
    try:
        from cut_cross_entropy import linear_cross_entropy
    except ImportError:
        pass
    else:

        def cut() -> torch.Tensor:
            loss: torch.Tensor = linear_cross_entropy(
                h, w, gold, reduction="sum", impl="torch_compile"
            )
            return loss

        yield "NLL / cut-cross-entropy, torch_compile", cut, problem.nll


def measure(shape: Shape, repetitions: int) -> Iterator[Row]:
    """Ours against fairseq's way on one shape."""
    problem = Problem(shape)
    rows: list[tuple[str, str, Loss, Loss, bool]] = [
        ("B1", "label-smoothed NLL", problem.fairseq_nll, problem.nll, True),
        ("B2", "word_kd, whole belief", problem.fairseq_word_kd, problem.word_kd, True),
        ("B6", "word_kd, 8 kept / fairseq's NLL", problem.fairseq_nll, problem.stored, False),
    ]
    plain = Problem(shape, epsilon=0)
    rows += [("peer", what, theirs, ours, True) for what, theirs, ours in peers(plain)]
    for name, what, theirs, ours, same in rows:
        yield compare(plain if name == "peer" else problem, theirs, ours, repetitions, same,
                      id=name, what=what, base="all logits at once", model=str(shape))  # fmt: skip


def compare(
    problem: Problem, theirs: Loss, ours: Loss, repetitions: int, same: bool, **what: Any
) -> Row:
    """A row for two losses of a problem; they must agree where they are the ``same``."""
    if same:
        close(problem.gradients(ours), problem.gradients(theirs), rtol=1e-4)
    calls = 20 if on_gpu() else 1

    def several(loss: Loss) -> None:
        for _ in range(calls):
            problem.gradients(loss)

    times = pairs(lambda: several(theirs), lambda: several(ours), repetitions)
    return ratio_row(times, calls, **what)


def curves(quick: bool, repetitions: int) -> Iterator[Row]:
    """word_kd from a store / fairseq's NLL, as vocabulary, tokens and kept tokens grow."""
    base, kept = (TINY, 8) if quick else (Shape(1024, 256, 8000), 8)
    varied: list[tuple[str, Shape, int]] = [
        *(("vocabulary", replace(base, vocabulary=v), kept) for v in (1000, 4000, 8000, 32000)),
        *(("tokens", replace(base, tokens=n), kept) for n in (128, 512, 2048, 8192)),
        *(("kept", base, k) for k in (1, 8, 64, 256)),
    ]
    for axis, shape, k in varied[:: 4 if quick else 1]:
        problem = Problem(shape, k)
        x = {"vocabulary": shape.vocabulary, "tokens": shape.tokens, "kept": k}[axis]
        yield compare(problem, problem.fairseq_nll, problem.stored, repetitions, False, axis=axis,
                      x=x, id="curve", what=f"word_kd, {k} kept / fairseq's NLL",
                      base="all logits at once", model=str(shape))  # fmt: skip


def memory(shape: Shape) -> Row:
    """Peak memory of loss and backward above what stands before, each in a process of its own."""
    told = {}
    for name in ("fused", "dense"):
        command = [sys.executable, "-m", "benchmarks.losses", name]
        command += map(str, (shape.tokens, shape.width, shape.vocabulary))
        value, peak = subprocess.check_output(command, text=True, env={**os.environ}).split()
        told[name] = float(value), float(peak)
    close([torch.tensor(told["fused"][0])], [torch.tensor(told["dense"][0])], rtol=1e-4)
    return {
        "id": "S8",
        "what": "word_kd, 8 kept: peak memory in MB",
        "base": "all logits at once",
        "model": str(shape),
        "ratio": round(told["fused"][1] / told["dense"][1], 4),
        "repetitions": 1,
        "megabytes": [told["dense"][1], told["fused"][1]],
    }


def _megabytes(name: str) -> float:
    """VmRSS is what the process holds now, VmHWM the most since it was set back; of Linux."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith(name))
    return int(line.split()[1]) / 1024


def main() -> None:
    """In the process whose memory is measured."""
    name, *numbers = sys.argv[1:]
    torch.set_num_threads(1)
    problem = Problem(Shape(*map(int, numbers)), whole=False)
    if on_gpu():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    else:
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
        before = _megabytes("VmRSS")
    value = problem.stored(name == "dense")
    torch.autograd.backward(value)
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu() else _megabytes("VmHWM")
    print(value.item(), round(peak - before, 1))


if __name__ == "__main__":
    main()
