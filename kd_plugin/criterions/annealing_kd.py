r"""Annealing-KD (Jafari et al., 2021): regression on growing teacher logits, then gold labels.

.. math:: \text{stage I: } \ell_j = \sum_v (z_v - \Phi(T) z^t_v)^2 \qquad
    \text{stage II: } \ell_j = \mathrm{CE}(y_j)

with :math:`\Phi(T) = 1 - (T - 1) / \tau_{max}` and T falling from tau_max to 1 in equal shares of
stage I. The paper is not about translation and no port to it was published: the schedule in
updates, the mean over V and centred logits are ours. Centring takes away what a softmax does not
see, and is all that an ensemble has: its logit is the log of its mean probability.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from fairseq.utils import split_paths
from omegaconf import II
from torch import Tensor

from ..errors import InputError
from ..host.ranges import Range
from ..teachers import WholeBelief
from .config import UPDATES, WEIGHT, DistillationConfig
from .distillation import DistillationCriterion


@dataclass
class AnnealingKDConfig(DistillationConfig):
    nll_weight: float = field(
        default=1.0,
        metadata={
            "help": "weight of the label-smoothed NLL, in stage II",
            "range": WEIGHT,
            "signature": "nll",
        },
    )
    kd_weight: float = field(
        default=1.0,
        metadata={
            "help": "weight of the regression, in stage I",
            "range": WEIGHT,
            "signature": "kd",
        },
    )
    anneal_max_temperature: int = field(
        default=10,
        metadata={
            "help": "tau_max, the number of steps of Phi",
            "range": Range(1, 1_000_000),
            "signature": "tau",
        },
    )
    anneal_updates: Optional[int] = field(
        default=None,
        metadata={
            "help": "length of stage I; stage II follows (default: half of --max-update)",
            "range": UPDATES,
            "signature": "updates",
        },
    )
    anneal_reduction: ChoiceEnum(["mean", "sum"]) = field(  # type: ignore[valid-type]
        default="mean",
        metadata={"help": "of the squared errors over the vocabulary", "signature": "over-v"},
    )
    anneal_logits: ChoiceEnum(["centred", "raw"]) = field(  # type: ignore[valid-type]
        default="centred",
        metadata={
            "help": "logits less their mean over the vocabulary, or as they are",
            "signature": "logits",
        },
    )
    max_update: int = II("optimization.max_update")


@register_criterion("annealing_kd", dataclass=AnnealingKDConfig)
class AnnealingKD(DistillationCriterion):
    reads_stores = ("features",)  # the regression is on all logits
    unit = 1.0  # squared errors are no nats

    def check(self, cfg: Any) -> None:
        super().check(cfg)
        self.reads_logits = str(cfg.anneal_logits) == "raw"
        self.updates = cfg.anneal_updates or cfg.max_update // 2
        if cfg.kd_weight and self.updates < 1 and not self.task.from_checkpoint:
            raise InputError(
                "--anneal-updates is not given and leaves no stage I; give its length in updates, "
                "or --max-update, of which it is half"
            )
        if not cfg.nll_weight:
            raise InputError("--nll-weight 0 leaves stage II without a loss; give 1")
        store = self.task.store
        teachers = len(split_paths(self.task.cfg.teacher_path or ""))
        if self.reads_logits and max(teachers, len(store.layers) if store else 0) > 1:
            raise InputError(
                "--anneal-logits raw: several teachers have no raw logit, theirs is the logarithm "
                "of a mean; give --anneal-logits centred"
            )

    def weights(self, model: Any, sample: Any) -> tuple[float | None, float | None]:
        a, b = super().weights(model, sample)
        first = b and self.update_num < self.updates
        return (None, b) if first else (a, None)

    def token_loss(self, log_p: Tensor, q: WholeBelief, y: Tensor) -> Tensor:
        z, z_t = log_p, q.logits
        if z_t is None:
            z, z_t = centred(log_p), centred(q.log_q)
        phi = growth(self.update_num, self.updates, self.cfg.anneal_max_temperature)
        errors = (z - phi * z_t) ** 2  # [N, V]
        return errors.sum(-1) if str(self.cfg.anneal_reduction) == "sum" else errors.mean(-1)


def centred(z: Tensor) -> Tensor:
    """Logits less their mean over V; log-probabilities give what their logits would."""
    return z - z.mean(-1, keepdim=True)


def growth(update: int, updates: int, steps: int) -> float:
    """Phi at an update of stage I: 1/steps at first, then growing by it to 1, never above."""
    return min(update * steps // updates + 1, steps) / steps
