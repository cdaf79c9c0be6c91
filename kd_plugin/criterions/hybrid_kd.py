r"""Token-level and sentence-level distillation under a gate.

The gate's formula in Wei et al. (2024) is not public: this one is ours. For each sentence, with g
from the gate and sg for "no gradient", the student minimises

.. math:: \mathrm{sg}(g) \sum_j T^2 \mathrm{KL}(q_j \| p_j)
    + (1 - \mathrm{sg}(g)) \sum_j -\log p(\hat y_j)

(teacher's distribution on the reference; teacher's translation), and the gate minimises

.. math:: g \, \mathrm{sg}(l_t / m_t) + (1 - g) \, \mathrm{sg}(l_s / m_s)
    + \lambda \, \mathrm{KL}(\mathrm{Bern}(g) \| \mathrm{Bern}(1/2))

where l_t and l_s are the two terms as mean cross-entropies of the sentence's tokens, and m_t and m_s
their means over the first updates, in which g is 1/2. Its minimiser is
:math:`\sigma((l_s/m_s - l_t/m_t)/\lambda)`; without m and the last term g would go to 0 or 1.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..decode_hook import require_decode_hook
from ..errors import InputError
from .distillation import note_spread
from .divergence import Divergence, DivergenceConfig
from .memory import FirstMeans
from .reading import Text, read_all


@dataclass
class HybridKDConfig(DivergenceConfig):
    nll_weight: float = field(
        default=0.0, metadata={"help": "weight of the reference's NLL", "signature": "nll"}
    )
    kd_weight: float = field(
        default=1.0, metadata={"help": "weight of the two gated terms", "signature": "kd"}
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
        metadata={"help": "g of --hybrid-gate fixed: 1 is token level, 0 sentence level",
                  "signature": "g"},
    )
    hybrid_gate_warmup: int = field(
        default=1000,
        metadata={"help": "updates with g = 1/2, in which m_t and m_s are measured",
                  "signature": "warmup"},
    )
    hybrid_gate_lambda: float = field(
        default=0.1, metadata={"help": "weight of the pull of g to 1/2", "signature": "lambda"}
    )


@register_criterion("hybrid_kd", dataclass=HybridKDConfig)
class HybridKD(Divergence):
    gold_is_reference = teacher_reads_reference = True

    def __init__(self, cfg: HybridKDConfig, task: Any):
        super().__init__(cfg, task)
        self.fixed = cfg.hybrid_gate_value if str(cfg.hybrid_gate) == "fixed" else None
        if self.fixed is None:
            self.memory: FirstMeans | None = FirstMeans(cfg.hybrid_gate_warmup, columns=2)
            self.gate = Gate(task.encoder_width if str(cfg.hybrid_gate) == "sentence" else None)

    def check(self, cfg: Any) -> None:
        super().check(cfg)
        if cfg.kd_weight and not self.task.cfg.distilled_data and not self.task.from_checkpoint:
            raise InputError(
                f"--criterion {self.name} needs the teacher's translations beside the references; "
                "give their folder with --distilled-data"
            )
        if not 0 <= cfg.hybrid_gate_value <= 1:
            raise InputError(
                f"--hybrid-gate-value {cfg.hybrid_gate_value} is no share; give 0 to 1"
            )
        if cfg.hybrid_gate_warmup < 1:
            raise InputError(
                f"--hybrid-gate-warmup {cfg.hybrid_gate_warmup} measures nothing; give 1 or more"
            )
        if not cfg.hybrid_gate_lambda > 0:
            raise InputError(
                f"--hybrid-gate-lambda {cfg.hybrid_gate_lambda} lets the gate go to 0 or 1; give a "
                "number above 0, such as 0.1"
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
        readings, states = read_all(model, sample, (reference, distilled), self.padding_idx)
        n_t, n_s = (reading.of_sentences(torch.ones_like(reading.nll)) for reading in readings)
        token, sentence = readings
        self.log_nll(token, log)

        # The two terms of each token, and as mean cross-entropies of each sentence [B].
        (q,) = self.beliefs(model, [token])
        L_t, L_s = self.distil([token], [q], log), self.smoothed_nll(sentence.log_p, sentence.y)
        T = self.cfg.kd_temperature
        l_t = token.of_sentences(L_t.detach() + T**2 * q.at(T).entropy()) / n_t
        l_s = sentence.of_sentences(L_s.detach()) / n_s

        losses = []
        if self.fixed is None:
            theta = self.gate(states)  # [B]
            g = theta.detach().sigmoid()
            losses.append(gradient_only(self.gate_loss(theta, l_t, l_s)))
            note_spread(log, "gate", g)
        else:
            g = torch.full_like(l_t, self.fixed)
        L_t, L_s = g[token.sentence] * L_t, (1 - g)[sentence.sentence] * L_s
        if a is not None:
            L_t = L_t * b + a * self.smoothed_nll(token.log_p, token.y)
        a = a or 0
        tokens = (a * n_t + b * (g * n_t + (1 - g) * n_s)).sum() / (a + b)
        return [L_t, b * L_s, *losses], tokens

    def gate_loss(self, theta: Tensor, l_t: Tensor, l_s: Tensor) -> Tensor:
        """What the gate minimises, summed over sentences; 0 until m_t and m_s are known."""
        assert self.memory is not None
        if self.training:
            self.memory.note(torch.stack([l_t, l_s], -1))
        if self.memory.means is None:
            return 0 * theta.sum()
        m_t, m_s = self.memory.means.to(l_t)
        g, log_g, log_not_g = theta.sigmoid(), logsigmoid(theta), logsigmoid(-theta)
        pull = math.log(2) + g * log_g + (1 - g) * log_not_g  # KL(Bern(g) || Bern(1/2))
        loss = g * l_t / m_t + (1 - g) * l_s / m_s + self.cfg.hybrid_gate_lambda * pull
        total: Tensor = loss.sum()
        return total


class Gate(torch.nn.Module):
    """The logit of g: linear in a sentence's mean encoder state, or one number; 0 at first."""

    def __init__(self, width: Optional[int]):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(width)) if width else None  # [D]
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, states: Tensor) -> Tensor:
        """From mean encoder states [B, D], without gradient to them, logits [B]."""
        states = states.detach()
        bias = self.bias.to(states).expand(len(states))
        return bias if self.weight is None else states @ self.weight.to(states) + bias


def gradient_only(loss: Tensor) -> Tensor:
    """The value 0 with the gradient of ``loss`` [1]."""
    return (loss - loss.detach()).view(1)
