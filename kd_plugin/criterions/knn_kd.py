r"""Distillation from nearest neighbours (Yang et al., 2022).

.. math:: \ell_j = \sum_v q_v (\log q_v - \log p_v), \qquad
    q_v \propto \sum_{i: v_i = v} \exp(-d_i / T)

with the squared distances d of the k nearest states of the training set and their target tokens v.
T is of the distances: the student's temperature is 1 and nothing is multiplied by T squared. The
neighbours come from a store (``fairseq-kd neighbours``); no teacher is in memory. How the paper
weighs the two terms is not stated; 1 and 1 are its code's.
"""

from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import register_criterion
from torch import Tensor

from ..errors import InputError
from ..host.ranges import Range
from ..neighbours.mixture import TEMPERATURE
from ..teachers import Belief
from .config import WEIGHT, DistillationConfig
from .divergence import SoftTargetCriterion
from .logs import add
from .reading import Reading


@dataclass
class KnnKDConfig(DistillationConfig):
    nll_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the label-smoothed NLL", "range": WEIGHT, "signature": "nll"},
    )
    kd_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the distillation term", "range": WEIGHT, "signature": "kd"},
    )
    knn_temperature: float = field(
        default=100.0,
        metadata={
            "help": "T of the squared distances",
            "range": TEMPERATURE,
            "signature": "T",
        },
    )
    knn_k: int = field(
        default=0,
        metadata={
            "help": "the nearest that count; 0 for all that are stored",
            "range": Range(0, "the store's neighbours"),
            "signature": "k",
        },
    )


@register_criterion("knn_kd", dataclass=KnnKDConfig)
class KnnKD(SoftTargetCriterion):
    reads_stores = ("neighbours",)

    def check(self, cfg: Any) -> None:
        super().check(cfg)
        k, store = cfg.knn_k, self.task.store
        if store is not None and store.kind == "neighbours" and k > store.k:
            raise InputError(
                f"--knn-k {k} asks for more neighbours than the store holds ({store.k}); give at "
                f"most that, or write another with fairseq-kd neighbours --k {k}"
            )

    def require_teacher(self, cfg: Any, given: Any) -> None:
        """A teacher in memory has no neighbours."""
        if given.teacher_path:
            raise InputError(
                f"--teacher-path {given.teacher_path} is no store of neighbours, which --criterion "
                f"{self.name} learns from; write one with fairseq-kd datastore and neighbours, and "
                "give it with --teacher-store"
            )
        super().require_teacher(cfg, given)

    def targets(self, model: Any, readings: list[Reading]) -> list[Any]:
        found = super().targets(model, readings)
        T, k = self.cfg.knn_temperature, self.cfg.knn_k
        return [neighbours and neighbours.at(T, k) for neighbours in found]

    def log_teacher(self, q: Belief, y: Tensor, log: dict[str, Any]) -> None:
        """The share of target tokens that are among the neighbours'; their NLL may be infinite."""
        assert q.ids is not None
        add(log, "retrieved", q.ids.eq(y.unsqueeze(-1)).any(-1))
