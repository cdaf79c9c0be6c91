r"""Token level and sentence level under a gate of ours (after Wei et al., 2024).

For each sentence, with g from the gate and sg for "no gradient", the student minimises

.. math:: \mathrm{sg}(g) \sum_j T^2 \mathrm{KL}(q_j \| p_j)
    + (1 - \mathrm{sg}(g)) \sum_j -\log p(\hat y_j)

(teacher's distribution on the reference; teacher's translation). What the gate minimises stands in
:mod:`.gate`. The formula of Wei et al. is not public.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from omegaconf import II
from torch import Tensor

from ..errors import InputError
from ..host.decode_hook import require_decode_hook
from ..host.ranges import Range
from .config import UPDATES, WEIGHT
from .divergence import Divergence, DivergenceConfig
from .gate import Gate, gate_loss, gradient_only
from .lesson import learn
from .logs import note_spread
from .memory import FirstMeans
from .reading import Text, read_all

logger = logging.getLogger(__name__)


@dataclass
class HybridKDConfig(DivergenceConfig):
    nll_weight: float = field(
        default=0.0,
        metadata={"help": "weight of the reference's NLL", "range": WEIGHT, "signature": "nll"},
    )
    kd_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the two gated terms", "range": WEIGHT, "signature": "kd"},
    )
    hybrid_gate: ChoiceEnum(["sentence", "scalar", "fixed"]) = field(  # type: ignore[valid-type]
        default="sentence",
        metadata={
            "help": "g from the mean encoder state of each sentence, one learned g, or a fixed one",
            "signature": "gate",
        },
    )
    hybrid_gate_value: float = field(
        default=0.5,
        metadata={
            "help": "g of --hybrid-gate fixed: 1 is token level, 0 sentence level",
            "range": Range(0, 1),
            "signature": "g",
        },
    )
    hybrid_gate_warmup: int = field(
        default=1000,
        metadata={
            "help": "updates with g = 1/2, in which m_t and m_s are measured",
            "range": UPDATES,
            "signature": "warmup",
        },
    )
    hybrid_gate_lambda: float = field(
        default=0.1,
        metadata={
            "help": "weight of the pull of g to 1/2",
            "range": Range(0.000001, 1_000_000_000),
            "signature": "lambda",
        },
    )
    max_update: int = II("optimization.max_update")


@register_criterion("hybrid_kd", dataclass=HybridKDConfig)
class HybridKD(Divergence):
    gold_is_reference = True

    def __init__(self, cfg: HybridKDConfig, task: Any):
        super().__init__(cfg, task)
        self.fixed = cfg.hybrid_gate_value if str(cfg.hybrid_gate) == "fixed" else None
        if self.fixed is None:
            self.memory: FirstMeans | None = FirstMeans(cfg.hybrid_gate_warmup, columns=2)
            self.gate = Gate(task.encoder_width if str(cfg.hybrid_gate) == "sentence" else None)
            if 0 < cfg.max_update <= cfg.hybrid_gate_warmup and not task.from_checkpoint:
                logger.warning(
                    f"--hybrid-gate-warmup {cfg.hybrid_gate_warmup} is not over at --max-update "
                    f"{cfg.max_update}: the gate stays at 1/2 and learns nothing; lower the first "
                    "or raise the second"
                )

    def check(self, cfg: Any) -> None:
        super().check(cfg)
        if cfg.kd_weight and not self.task.cfg.distilled_data and not self.task.from_checkpoint:
            raise InputError(
                f"--criterion {self.name} needs the teacher's translations beside the references; "
                "give their folder with --distilled-data"
            )
        if str(cfg.hybrid_gate) == "sentence" and self.task.encoder_width is None:
            raise InputError(
                "--hybrid-gate sentence reads the encoder's states, and those of this --arch have "
                "no form that is known here (Transformer, LSTM); give --hybrid-gate scalar"
            )

    def losses(
        self, model: Any, sample: Any, reference: Text, distilled: Text | None, log: dict[str, Any]
    ) -> tuple[list[Tensor], Any]:
        a, b = self.weights(model, sample)
        if b is None or distilled is None:
            return super().losses(model, sample, reference, distilled, log)
        require_decode_hook(model, f"--criterion {self.name}")
        texts = reference, distilled
        readings, states = read_all(model, sample, texts, self.padding_idx, self.fused)
        token, sentence = readings
        n_t, n_s = token.lengths, sentence.lengths  # [B]

        if self.fixed is None:
            theta = self.gate(states)  # [B]
            g = theta.detach().sigmoid()
            note_spread(log, "gate", g)
        else:
            g = torch.full_like(n_t, self.fixed)

        # The two terms, and what they are as mean cross-entropies of each sentence [B].
        (q,) = self.beliefs(model, [token])
        assert q is not None
        token_loss, L_t = learn(self, token, log, a, b * g[token.sentence], q)
        self.log_distillation(L_t, log)
        sentence_loss, L_s = learn(self, sentence, {}, b * (1 - g)[sentence.sentence])
        losses = [token_loss, sentence_loss]
        if self.fixed is None:
            assert self.memory is not None
            T = self.temperature
            entropy = q.each(lambda rows: rows.at(T).entropy())
            l_t = token.of_sentences(L_t + T**2 * entropy) / n_t
            l_s = sentence.of_sentences(L_s) / n_s
            if self.training:
                self.memory.note(torch.stack([l_t, l_s], -1))
            pull = self.cfg.hybrid_gate_lambda
            losses.append(gradient_only(gate_loss(theta, l_t, l_s, self.memory.means, pull)))
        a = a or 0
        tokens = (a * n_t + b * (g * n_t + (1 - g) * n_s)).sum() / (a + b)
        return losses, tokens
