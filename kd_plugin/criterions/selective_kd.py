r"""Distil only the tokens that the student finds hard (Wang et al., 2021, Algorithm 1).

.. math:: \ell_j = \mathrm{CE}(y_j) + [\,s_j \ge \tau\,] \; T^2 \, \mathrm{KL}(q_j \| p_j)

where s is the student's unsmoothed word cross-entropy (or another signal of their probe study) and
tau the ceil(r n)-th largest of n values: those of the batch, or of a queue of the latest tokens.
Ties are selected. Selecting gives no gradient, and the loss is divided by all tokens.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ..host.ranges import Range
from ..teachers import WholeBelief
from .config import WEIGHT
from .difficulty import SIGNALS, check_signal, difficulty
from .divergence import Divergence, DivergenceConfig
from .logs import note_spread
from .memory import Queue
from .reading import Reading

ORDERS = ["push-then-test", "test-then-push"]


@dataclass
class SelectiveKDConfig(DivergenceConfig):
    nll_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the label-smoothed NLL", "range": WEIGHT, "signature": "nll"},
    )
    kd_weight: float = field(
        default=1.0,
        metadata={
            "help": "weight of the distillation term of selected tokens",
            "range": WEIGHT,
            "signature": "kd",
        },
    )
    kd_select: ChoiceEnum(["batch", "global"]) = field(  # type: ignore[valid-type]
        default="global",
        metadata={
            "help": "compare a token with its batch, or with a queue of the latest tokens",
            "signature": "select",
        },
    )
    kd_select_rate: float = field(
        default=0.5,
        metadata={
            "help": "share r of tokens to distil",
            "range": Range(0.0001, 1),
            "signature": "r",
        },
    )
    kd_queue_size: int = field(
        default=30000,
        metadata={
            "help": "tokens that the queue holds",
            "range": Range(1, 100_000_000),
            "signature": "queue",
        },
    )
    kd_select_order: ChoiceEnum(ORDERS) = field(  # type: ignore[valid-type]
        default="push-then-test",
        metadata={
            "help": "whether the queue already holds the batch that is tested",
            "signature": "order",
        },
    )
    kd_select_by: ChoiceEnum(SIGNALS) = field(  # type: ignore[valid-type]
        default="word-ce",
        metadata={"help": "what tells that a token is hard", "signature": "by"},
    )
    kd_select_end: ChoiceEnum(["hard", "easy"]) = field(  # type: ignore[valid-type]
        default="hard", metadata={"help": "which tokens to distil", "signature": "end"}
    )


@register_criterion("selective_kd", dataclass=SelectiveKDConfig)
class SelectiveKD(Divergence):
    def __init__(self, cfg: SelectiveKDConfig, task: Any):
        super().__init__(cfg, task)
        if str(cfg.kd_select) == "global":
            self.memory: Queue | None = Queue(cfg.kd_queue_size)

    def check(self, cfg: Any) -> None:
        super().check(cfg)
        check_signal(str(cfg.kd_select_by), self.task.target_dictionary)

    def token_weights(self, reading: Reading, q: WholeBelief, log: dict[str, Any]) -> Tensor:
        hard = difficulty(str(self.cfg.kd_select_by), reading, q, self.task.target_dictionary)
        hard = hard if str(self.cfg.kd_select_end) == "hard" else -hard  # [N]
        tau = threshold(self.compared(hard), self.cfg.kd_select_rate)
        selected = (hard >= tau).to(reading.output.dtype)  # [N]
        note_spread(log, "threshold", tau)
        note_spread(log, "selected", selected.mean())
        return selected

    def compared(self, hard: Tensor) -> Tensor:
        """The values among which the threshold is sought [n]; the batch is noted for the queue."""
        if self.memory is None:
            return hard
        self.memory.note(hard)
        if self.cfg.kd_select_rate == 1:
            return hard  # all of them, however old values are
        if str(self.cfg.kd_select_order) == "push-then-test" or not len(self.memory.values):
            return self.memory.with_batch(hard)
        return self.memory.values.to(hard.device)


def threshold(values: Tensor, rate: float) -> Tensor:
    """The ceil(rate * n)-th largest of ``values`` [n]."""
    count = max(math.ceil(round(rate * len(values), 6)), 1)  # 0.7 * 10 is 7.000000000000001
    return torch.kthvalue(values, len(values) - count + 1).values
