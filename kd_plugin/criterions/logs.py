"""What a run logs: means over the real tokens of all workers, spreads of a method's own numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fairseq import utils
from fairseq.logging import metrics
from torch import Tensor

SPREAD = "spread_of_"  # how the log of a batch marks [count, sum, sum of squares]


def reduce(logging_outputs: Sequence[Mapping[str, Any]], unit: float = math.log(2)) -> None:
    """Log means over all real tokens of all workers; losses in bits, agreement as a share.

    The distillation term, and a loss that has one, is divided by ``unit``.
    """
    taught = any("kd_loss" in log for log in logging_outputs)

    def total(key: str) -> Any:
        return sum(log.get(key, 0) for log in logging_outputs)

    for key, per, divisor in (
        ("loss", "sample_size", unit if taught else math.log(2)),
        ("nll_loss", "nll_ntokens", math.log(2)),
        ("kd_loss", "kd_ntokens", unit),
        ("teacher_nll_loss", "kd_ntokens", math.log(2)),
        ("agreement", "kd_ntokens", 1),
        ("retrieved", "kd_ntokens", 1),
    ):
        if any(key in log for log in logging_outputs):
            count = total(per)
            metrics.log_scalar(key, total(key) / count / divisor, count, round=3)
    for name in sorted({name for log in logging_outputs for name in log}):
        if name.startswith("agreement_"):  # of a later iteration
            count = total("kd_ntokens")
            metrics.log_scalar(name, total(name) / count, count, round=3)
        elif name.startswith(SPREAD):
            _log_spread(name.removeprefix(SPREAD), total(name))
    for ppl, key in (("ppl", "nll_loss"), ("teacher_ppl", "teacher_nll_loss")):
        if any(key in log for log in logging_outputs):
            metrics.log_derived(ppl, lambda meters, key=key: _perplexity(meters[key]))


def add(log: dict[str, Any], key: str, values: Tensor) -> None:
    """Add the sum of ``values`` to what a batch logs."""
    log[key] = log.get(key, 0) + values.detach().sum()


def note_spread(log: dict[str, Any], name: str, values: Tensor) -> None:
    """Have mean and standard deviation of ``values`` [n] logged over all batches of an interval."""
    values = values.detach().double()
    log[SPREAD + name] = torch.stack(
        [values.new_tensor(values.numel()), values.sum(), (values**2).sum()]
    )


def _log_spread(name: str, sums: Any) -> None:
    count, first, second = (float(value) for value in sums)
    if count:
        metrics.log_scalar(name, first / count, count, round=4)
        metrics.log_scalar(f"_{name}_square", second / count, count)
        metrics.log_derived(f"{name}_sd", lambda meters: _deviation(meters, name))


def _deviation(meters: Any, name: str) -> float:
    variance = float(meters[f"_{name}_square"].avg) - float(meters[name].avg) ** 2
    return round(math.sqrt(max(variance, 0)), 4)


def _perplexity(meter: Any) -> Any:
    return utils.get_perplexity(meter.avg)
