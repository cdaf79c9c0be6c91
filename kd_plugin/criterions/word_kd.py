r"""Word-level distillation (Kim and Rush, 2016, section 3.1).

.. math:: \ell_j = T^2 \sum_v q_v (\log q_v - \log p_v)

with teacher q and student p at temperature T, on the same target prefix. The paper's cross-entropy
has the same gradient; this value is 0 for equal models. ``--kd-target`` keeps a part of the
teacher's belief: the removal study of Zhang et al. (2023). Kept entries are not renormalised, what
is removed is not spread.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from .. import ops
from ..errors import InputError
from ..host.ranges import Range
from ..teachers import Belief, WholeBelief
from .config import VOCABULARY
from .divergence import Divergence, DivergenceConfig


@dataclass
class WordKDConfig(DivergenceConfig):
    kd_target: ChoiceEnum(["full", "top1", "no-top1", "top-k"]) = field(  # type: ignore[valid-type]
        default="full",
        metadata={
            "help": "what is kept of the teacher: all, its likeliest token, all but that one (its "
            "mass goes to the gold token), or its k likeliest",
            "signature": "target",
        },
    )
    kd_target_k: Optional[int] = field(
        default=None,
        metadata={
            "help": "k of --kd-target top-k",
            "range": Range(1, VOCABULARY),
            "signature": "k",
        },
    )


@register_criterion("word_kd", dataclass=WordKDConfig)
class WordKD(Divergence):
    def check(self, cfg: Any) -> None:
        super().check(cfg)
        k, size = cfg.kd_target_k, len(self.task.target_dictionary)
        if cfg.kd_target == "top-k" and k is None:
            raise InputError(
                f"--kd-target-k is not given; with --kd-target top-k give 1 to {size}, the "
                "vocabulary"
            )
        if cfg.kd_target != "top-k" and k is not None:
            raise InputError(
                f"--kd-target-k {k} has no effect with --kd-target {cfg.kd_target}; use top-k"
            )
        self.require_kept("--kd-target-k", k or 1)

    def by_hand(self, q: WholeBelief, y: Tensor) -> ops.Divergence:
        T = self.temperature
        return ops.Divergence(self.kept(q.at(T), y).target, T)

    def kept(self, q: WholeBelief, y: Tensor) -> Belief:
        """What counts of the teacher's belief."""
        match str(self.cfg.kd_target):
            case "top1":
                return q.top(1)
            case "no-top1":
                return q.without_top(y)
            case "top-k":
                return q.top(self.cfg.kd_target_k)
        return q
