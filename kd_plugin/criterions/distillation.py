"""What every distillation criterion shares; a method supplies one equation.

Shapes: B sentences, T positions, N real (non-padding) tokens, V vocabulary.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.logging import metrics
from torch import Tensor

from ..errors import InputError
from ..tasks.distillation import DistillationTask, TeacherConfig
from ..teachers import WholeBelief
from .config import DistillationConfig, check_weights, signature
from .reading import Reading, read, texts

logger = logging.getLogger(__name__)


class DistillationCriterion(FairseqCriterion):  # type: ignore[misc]
    """``nll_weight * NLL(gold text) + kd_weight * token_loss(taught text)``, summed over real tokens.

    The taught text is the teacher's (``--distilled-data``) where a batch has it, else the
    reference. The gold text is the same one, unless a method says ``gold_is_reference``. In
    training a term of weight 0 is not computed. An evaluation that has nothing to teach (no
    teacher, no second target) gives fairseq's label-smoothed cross-entropy.

    The trainer divides by ``sample_size``: the target tokens, averaged by weight where the two
    texts differ (sentences with ``--sentence-avg``).
    """

    needs_teacher = True
    gold_is_reference = False

    def __init__(self, cfg: DistillationConfig, task: Any):
        self.name = str(cfg._name)
        if not isinstance(task, DistillationTask):
            raise InputError(
                f"--criterion {self.name} needs what --task distillation provides, and the task is "
                f"{type(task).__name__}; add --task distillation"
            )
        super().__init__(task)
        self.cfg = cfg
        self.check(cfg)
        trains = not task.from_checkpoint
        if trains and self.needs_teacher and cfg.kd_weight and not task.cfg.teacher_path:
            raise InputError(
                f"--criterion {self.name} needs a teacher; give --teacher-path CHECKPOINT, or "
                "--kd-weight 0 to train without one"
            )
        self.teacher = task.teacher
        self.signature = signature(
            self.name,
            cfg,
            teacher=self.teacher.identity if self.teacher and self.needs_teacher else "",
            text="distilled" if task.cfg.distilled_data else "",
        )
        task.state.merge_state_dict({"signature": self.signature})
        logger.info(f"signature: {self.signature}")

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """The method's flags; the task's too, so that another task is refused in one line."""
        super().add_args(parser)
        gen_parser_from_dataclass(parser, TeacherConfig())

    # What a method defines

    def check(self, cfg: Any) -> None:
        """Refuse values that make no sense; a method with flags of its own extends it."""
        check_weights(cfg)

    def token_loss(self, log_p: Tensor, q: WholeBelief, y: Tensor) -> Tensor:
        """The paper's equation.

        Args:
            log_p: the student's log-probabilities [N, V].
            q: what the teacher believes at the same positions. A method with
                ``needs_teacher = False`` must not read it.
            y: the tokens of the taught text [N].

        Returns:
            the distillation term of each token, in nats [N].
        """
        raise NotImplementedError(f"{type(self).__name__} defines no token_loss")

    # Mechanics

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, float, dict[str, Any]]:
        """Loss, sample size and what to log of a batch; see fairseq's criterions.

        With ``reduce=False`` the loss is one number for each token; where two different texts are
        read, the gold text's tokens come first.
        """
        reference, distilled = texts(sample)
        taught = distilled or reference
        gold = reference if self.gold_is_reference else taught
        a, b = self.weights(model, sample)  # None: the term is not computed

        log: dict[str, Any] = {}
        losses: list[Tensor] = []
        reading = read(model, sample, taught if a is None else gold, self.padding_idx)
        nll = -reading.log_p.detach().gather(-1, reading.y.unsqueeze(-1))  # [N, 1]
        log["nll_loss"], log["nll_ntokens"] = nll.sum(), len(nll)
        if a is not None:
            losses.append(a * self.smoothed_nll(reading.log_p, reading.y))
        if b is not None:
            if a is not None and taught is not gold:
                reading = read(model, sample, taught, self.padding_idx)
            losses.append(b * self.distil(model, reading, log))

        tokens: float = gold.ntokens
        if taught is gold:
            loss = torch.stack(losses).sum(0)
        else:
            a, b = a or 0, b or 0
            loss, tokens = torch.cat(losses), (a * gold.ntokens + b * taught.ntokens) / (a + b)
        sentences = len(reference.target)
        sample_size = sentences if self.cfg.sentence_avg else tokens
        log["loss"] = loss.sum().detach()
        log.update(ntokens=tokens, nsentences=sentences, sample_size=sample_size)
        return loss.sum() if reduce else loss, sample_size, log

    def weights(self, model: Any, sample: Mapping[str, Any]) -> tuple[float | None, float | None]:
        """Weights of the gold and the distillation term; None for a term that is not computed."""
        a, b = self.cfg.nll_weight, self.cfg.kd_weight
        if model.training:
            return a or None, b or None
        can_teach = self.teacher is not None if self.needs_teacher else "distilled" in sample
        return (a, b) if can_teach else (1, None)

    def smoothed_nll(self, log_p: Tensor, y: Tensor) -> Tensor:
        """Label-smoothed NLL of each token [N], with fairseq's formula."""
        smoothed: Tensor = label_smoothed_nll_loss(
            log_p, y, self.cfg.label_smoothing, reduce=False
        )[0]
        return smoothed

    def distil(self, model: Any, reading: Reading, log: dict[str, Any]) -> Tensor:
        """The method's term [N]; the log gets it and what the teacher makes of the text."""
        q: Any = None
        if self.teacher is not None and (self.needs_teacher or not model.training):
            self.teacher.follow(model)
            targets = self.teacher.targets(reading.net_input, reading.real)
            q = targets.rows(0, len(targets))
            log["teacher_nll_loss"] = q.nll(reading.y).sum()
            log["agreement"] = q.best().eq(reading.log_p.argmax(-1)).sum()
        kd = self.token_loss(reading.log_p, q, reading.y)
        if kd.shape != reading.y.shape:
            raise ValueError(
                f"{type(self).__name__}.token_loss returned {list(kd.shape)} and must return one "
                f"number for each token, {list(reading.y.shape)}"
            )
        log["kd_loss"], log["kd_ntokens"] = kd.sum().detach(), len(kd)
        return kd

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Log means over all real tokens of all workers; losses in bits, agreement as a share."""

        def total(key: str) -> Any:
            return sum(log.get(key, 0) for log in logging_outputs)

        for key, per, unit in (
            ("loss", "sample_size", math.log(2)),
            ("nll_loss", "nll_ntokens", math.log(2)),
            ("kd_loss", "kd_ntokens", math.log(2)),
            ("teacher_nll_loss", "kd_ntokens", math.log(2)),
            ("agreement", "kd_ntokens", 1),
        ):
            if any(key in log for log in logging_outputs):
                count = total(per)
                metrics.log_scalar(key, total(key) / count / unit, count, round=3)
        for ppl, key in (("ppl", "nll_loss"), ("teacher_ppl", "teacher_nll_loss")):
            if any(key in log for log in logging_outputs):
                metrics.log_derived(ppl, lambda meters, key=key: _perplexity(meters[key]))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def _perplexity(meter: Any) -> Any:
    return utils.get_perplexity(meter.avg)
