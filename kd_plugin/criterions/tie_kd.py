r"""Top-1 information enhanced distillation (Zhang et al., 2023).

.. math:: \ell_j = \frac{1}{N} \sum_{i=1}^{N}
    \big( T^2 \, \mathrm{KL}(q^i_j \| p^i_j) + R(q^i_j, p^i_j) \big)

.. math:: R = \sum_{u \in A} \max(0, p_u - p_{A_1})
    + \sum_{u \in A} \sum_{w \in B} [q_u > q_w] \max(0, p_w - p_u)

with A the teacher's top k, B the student's, probabilities at temperature 1. The first iteration
reads the given text; each later one reads, as prefix, the student's likeliest tokens of the one
before, shifted right. Both encoders run once. The gold term belongs to the first iteration.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from torch import Tensor

from ..errors import InputError
from ..host.decode_hook import Decoder, require_decode_hook
from ..host.ranges import Range
from ..teachers import WholeBelief
from .config import VOCABULARY
from .divergence import Divergence, DivergenceConfig
from .reading import Reading, Text, reading_of


@dataclass
class TieKDConfig(DivergenceConfig):
    tie_top_k: int = field(
        default=5,
        metadata={
            "help": "k of the ranking term; 0 leaves it out",
            "range": Range(0, VOCABULARY),
            "signature": "topk",
        },
    )
    tie_iterations: int = field(
        default=3,
        metadata={
            "help": "N, how often teacher and student decode",
            "range": Range(1, 100),
            "signature": "iterations",
        },
    )


@register_criterion("tie_kd", dataclass=TieKDConfig)
class TieKD(Divergence):
    def check(self, cfg: Any) -> None:
        super().check(cfg)
        self.require_kept("--tie-top-k", cfg.tie_top_k)

    def require_teacher(self, cfg: Any, given: Any) -> None:
        """As for all, but a store may be the teacher of the first iteration beside a live one."""
        if not (given.teacher_path and given.teacher_store):
            super().require_teacher(cfg, given)
        if given.teacher_store and not given.teacher_path and cfg.tie_iterations > 1:
            raise InputError(
                f"--tie-iterations {cfg.tie_iterations} reads prefixes that no store has; give "
                "--teacher-path beside --teacher-store, or --tie-iterations 1"
            )

    def token_loss(self, log_p: Tensor, q: WholeBelief, y: Tensor) -> Tensor:
        kd = super().token_loss(log_p, q, y)
        return kd + ranking(log_p, q, self.cfg.tie_top_k) if self.cfg.tie_top_k else kd  # [N]

    def read(self, model: Any, sample: Mapping[str, Any], text: Text) -> list[Reading]:
        require_decode_hook(model, f"--criterion {self.name}")
        net_input = {**sample["net_input"], "prev_output_tokens": text.prev_output_tokens}

        def iterate(_: Any, decoder: Decoder) -> list[Reading]:
            readings = [reading_of(model, decoder, net_input, text, *how)]
            while len(readings) < self.cfg.tie_iterations:
                inputs = {**net_input, "prev_output_tokens": own_prefix(readings[-1])}
                readings.append(reading_of(model, decoder, inputs, later, *how))
            return readings

        how, later = (self.padding_idx, self.fused), text._replace(stored=None)
        readings: list[Reading] = model(**net_input, decode=iterate)
        return readings


def own_prefix(reading: Reading) -> Tensor:
    """The likeliest tokens, shifted right: the next iteration's prefix [B, T].

    The first token and all padding stay; a token after a predicted end of sentence counts.
    """
    prefix, real = reading.net_input["prev_output_tokens"], reading.real
    best = torch.full_like(prefix, 0)
    best[real] = reading.best
    follows = real[:, 1:] & real[:, :-1]
    return torch.cat([prefix[:, :1], best[:, :-1].where(follows, prefix[:, 1:])], 1)


def ranking(log_p: Tensor, q: WholeBelief, k: int) -> Tensor:
    """The hierarchical ranking loss of each token [N]; 0 for what is in the teacher's order."""
    p = log_p.exp()  # [N, V]
    A: Any = q.top(k).ids  # [N, k], best first
    B = log_p.topk(k, -1).indices
    p_A, p_B, q_A, q_B = p.gather(-1, A), p.gather(-1, B), q.q.gather(-1, A), q.q.gather(-1, B)
    first = (p_A - p_A[:, :1]).relu().sum(-1)
    ordered = q_A.unsqueeze(-1) > q_B.unsqueeze(-2)  # [N, u, w]
    wrong = (p_B.unsqueeze(-2) - p_A.unsqueeze(-1)).relu()  # [N, u, w]
    return first + (ordered * wrong).sum((-2, -1))
