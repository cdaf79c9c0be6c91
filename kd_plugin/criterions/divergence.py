"""What the methods share that draw the student to the teacher's distribution."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .. import ops
from ..errors import InputError
from ..host.ranges import Range
from .config import DistillationConfig
from .distillation import DistillationCriterion


@dataclass
class DivergenceConfig(DistillationConfig):
    kd_temperature: float = field(
        default=1.0,
        metadata={
            "help": "T of teacher and student in the distillation term, whose value is multiplied "
            "by T squared",
            "range": Range(0.01, 100),
            "signature": "T",
        },
    )


class SoftTargetCriterion(DistillationCriterion):
    r"""A term :math:`T^2 \sum_v q_v (\log q_v - \log p_v)` with p at temperature T."""

    temperature = 1.0

    def by_hand(self, q: Any, y: Tensor) -> ops.Divergence:
        T = self.temperature
        return ops.Divergence((q if T == 1 else q.at(T)).target, T)


class Divergence(SoftTargetCriterion):
    """The same with ``--kd-temperature`` for both sides."""

    def __init__(self, cfg: DivergenceConfig, task: Any):
        super().__init__(cfg, task)
        self.temperature = cfg.kd_temperature

    def require_kept(self, flag: str, k: int) -> None:
        """Refuse to ask a store for the ``k`` likeliest tokens where it kept fewer."""
        store = self.task.store
        if store is not None and store.kind == "beliefs" and k > store.k:
            raise InputError(
                f"{flag} {k} asks for more of the likeliest tokens than {store.flag} kept "
                f"({store.k}); give at most {store.k}, or write another store with fairseq-kd "
                f"cache --top-k {k}"
            )
