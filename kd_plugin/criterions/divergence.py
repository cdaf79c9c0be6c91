"""What the methods share that draw the student to the teacher's distribution."""

from dataclasses import dataclass, field

from torch import Tensor

from ..errors import InputError
from ..host.probabilities import log_softmax
from ..host.ranges import Range
from ..teachers import Belief, WholeBelief
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


class Divergence(DistillationCriterion):
    r"""A term :math:`T^2 \sum_v q_v (\log q_v - \log p_v)`, both sides at temperature T."""

    def token_loss(self, log_p: Tensor, q: WholeBelief, y: Tensor) -> Tensor:
        T: float = self.cfg.kd_temperature
        log_p = log_p if T == 1 else log_softmax(log_p / T)  # [N, V]
        return T**2 * self.kept(q.at(T), y).divergence(log_p)  # [N]

    def kept(self, q: WholeBelief, y: Tensor) -> Belief:
        """What of the teacher's belief counts; a method may keep a part."""
        return q

    def require_kept(self, flag: str, k: int) -> None:
        """Refuse to ask a store for the ``k`` likeliest tokens where it kept fewer."""
        store = self.task.store
        if store is not None and store.kind == "beliefs" and k > store.k:
            raise InputError(
                f"{flag} {k} asks for more of the likeliest tokens than {store.flag} kept "
                f"({store.k}); give at most {store.k}, or write another store with fairseq-kd "
                f"cache --top-k {k}"
            )
