"""What every distillation criterion shares; a method supplies one equation.

Shapes: B sentences, T positions, N real (non-padding) tokens, V vocabulary.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, FairseqCriterion
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from fairseq.dataclass.utils import gen_parser_from_dataclass
from torch import Tensor

from ..errors import InputError
from ..host.ranges import check_ranges
from ..tasks.distillation import DistillationTask, TeacherConfig
from ..teachers import WholeBelief
from .config import VOCABULARY, DistillationConfig, check_weights, signature
from .logs import reduce
from .memory import Memory
from .reading import Reading, Text, is_stored, read, texts

logger = logging.getLogger(__name__)


class DistillationCriterion(FairseqCriterion):  # type: ignore[misc]
    """``nll_weight * NLL(gold text) + kd_weight * token_loss(taught text)`` over real tokens.

    The taught text is the teacher's (``--distilled-data``) where a batch has it, else the
    reference. The gold text is the same one, unless a method says ``gold_is_reference``. In
    training a term of weight 0 is not computed. An evaluation that has nothing to teach (no
    teacher, no second target) gives fairseq's label-smoothed cross-entropy.

    The trainer divides by ``sample_size``: the target tokens, averaged by weight where the two
    texts differ (sentences with ``--sentence-avg``).
    """

    needs_teacher = True
    reads_stores: tuple[str, ...] = ("beliefs", "features")  # which kinds can be its teacher
    teacher_reads_reference = False  # though there is a second text
    gold_is_reference = False
    reads_logits = False
    unit = math.log(2)  # by which the term is divided in the log: nats become bits

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
        self.require_teacher(cfg, task.cfg)
        self.teacher, self.store = task.teacher, task.store
        if self.store is not None and self.store.kind not in self.reads_stores:
            kinds = " or ".join(self.reads_stores) or "none"
            raise InputError(
                f"{self.store.flag} is a store of {self.store.kind}, and --criterion {self.name} "
                f"reads {kinds}; see fairseq-kd cache --help and fairseq-kd neighbours --help"
            )
        teachers = [each.identity for each in (self.teacher, self.store) if each]
        self.update_num = 0
        self.memory: Memory | None = None
        self.signature = signature(
            self.name,
            cfg,
            teacher="+".join(teachers) if self.needs_teacher else "",
            text="distilled" if task.cfg.distilled_data else "",
        )
        task.state.merge_state_dict({"signature": self.signature})
        logger.info(f"signature: {self.signature}")

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """The method's flags; the task's too, so that another task is refused in one line."""
        super().add_args(parser)
        gen_parser_from_dataclass(parser, TeacherConfig())

    # What a method may define

    def check(self, cfg: Any) -> None:
        """Refuse values that make no sense; a method with rules other than ranges extends it."""
        known = {VOCABULARY: len(self.task.target_dictionary)}
        check_ranges(CRITERION_DATACLASS_REGISTRY[self.name], cfg, known)
        check_weights(cfg)

    def require_teacher(self, cfg: Any, given: Any) -> None:
        """Refuse to train with no teacher or with two; ``given`` are the flags of the task."""
        trains = not self.task.from_checkpoint
        if not (given.teacher_path or given.teacher_store):
            if trains and self.needs_teacher and cfg.kd_weight:
                raise InputError(
                    f"--criterion {self.name} needs a teacher; give --teacher-path CHECKPOINT, "
                    "--teacher-store FOLDER, or --kd-weight 0 to train without one"
                )
        elif given.teacher_path and given.teacher_store:
            raise InputError(
                f"--teacher-path {given.teacher_path} and --teacher-store {given.teacher_store} "
                "are two teachers; give one of them"
            )

    def token_loss(self, log_p: Tensor, q: WholeBelief, y: Tensor) -> Tensor:
        """The paper's equation.

        Args:
            log_p: the student's log-probabilities [N, V]; its logits with ``reads_logits``.
            q: what the teacher believes at the same positions; it has logits with
                ``reads_logits``. A method with ``needs_teacher = False`` must not read it.
            y: the tokens of the taught text [N].

        Returns:
            the distillation term of each token, in nats [N].
        """
        raise NotImplementedError(f"{type(self).__name__} defines no token_loss")

    def token_weights(self, reading: Reading, q: WholeBelief, log: dict[str, Any]) -> Tensor | None:
        """The weight of each token's distillation term, without gradient [N]; None is 1."""
        return None

    def read(self, model: Any, sample: Mapping[str, Any], text: Text) -> list[Reading]:
        """Let the student read a text from which it will be taught, once or several times.

        The distillation term is the mean over the readings; all else belongs to the first.
        """
        return [read(model, sample, text, self.padding_idx, self.reads_logits)]

    def weights(self, model: Any, sample: Mapping[str, Any]) -> tuple[float | None, float | None]:
        """Weights of the gold and the distillation term; None for a term that is not computed."""
        a, b = self.cfg.nll_weight, self.cfg.kd_weight
        if model.training:
            return a or None, b or None
        can_teach = "distilled" in sample
        if self.needs_teacher:
            can_teach = self.teacher is not None or is_stored(sample)
        return (a, b) if can_teach else (1, None)

    # Mechanics

    def begin_batch(self, update_num: int, counts: bool, device: Any) -> None:
        """A training batch comes; a dummy of an idle rank does not count."""
        self.update_num = update_num
        if self.memory is not None:
            self.memory.begin_batch(counts, device)

    def train(self, mode: bool = True) -> Any:
        """Called by the trainer before each update, and before an evaluation with False."""
        if mode and self.memory is not None:
            self.memory.begin_update()
        return super().train(mode)

    def state(self) -> dict[str, Any]:
        """What :meth:`evaluate_as` needs to know of a run, plain data and tensors."""
        memory = self.memory.state() if self.memory is not None else None
        parameters = dict(self.state_dict())
        return {"update_num": self.update_num, "memory": memory, "parameters": parameters}

    def evaluate_as(self, state: Mapping[str, Any] | None) -> None:
        """Be as at the end of the run whose checkpoint has this ``state``; None is not known."""
        if state is None:
            logger.warning(
                f"the checkpoint does not tell where its run was: --criterion {self.name} "
                "evaluates it as at the first update"
            )
            return
        self.update_num = state["update_num"]
        self.load_state_dict(state["parameters"])
        if self.memory is not None and state["memory"] is not None:
            self.memory.restore(state["memory"])
        logger.info(f"--criterion {self.name} evaluates as at update {self.update_num + 1}")

    def forward(
        self, model: Any, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[Tensor, float, dict[str, Any]]:
        """Loss, sample size and what to log of a batch; see fairseq's criterions.

        With ``reduce=False`` the loss is one number for each token; where two different texts are
        read, the gold text's tokens come first.
        """
        reference, distilled = texts(sample)
        log: dict[str, Any] = {}
        losses, tokens = self.losses(model, sample, reference, distilled, log)
        loss = torch.cat(losses)
        sentences = len(reference.target)
        sample_size = sentences if self.cfg.sentence_avg else tokens
        log["loss"] = loss.sum().detach()
        log.update(ntokens=tokens, nsentences=sentences, sample_size=sample_size)
        return loss.sum() if reduce else loss, sample_size, log

    def losses(
        self,
        model: Any,
        sample: Mapping[str, Any],
        reference: Text,
        distilled: Text | None,
        log: dict[str, Any],
    ) -> tuple[list[Tensor], float]:
        """The loss of each token, of one text or two, and how many tokens they are."""
        taught = distilled or reference
        gold = reference if self.gold_is_reference else taught
        a, b = self.weights(model, sample)  # None: the term is not computed
        if b is None:
            reading = read(model, sample, gold, self.padding_idx)
            self.log_nll(reading, log)
            if not (model.training or self.needs_teacher):
                self.log_agreement(reading, self.beliefs(model, [reading])[0], log)
            return [(a or 0) * self.smoothed_nll(reading.log_p, reading.y)], gold.ntokens
        readings = self.read(model, sample, taught)
        reading = readings[0]
        kd = b * self.distil(readings, self.beliefs(model, readings), log)
        if a is not None and taught is not gold:
            gold_reading = read(model, sample, gold, self.padding_idx)
            self.log_nll(gold_reading, log)
            nll = a * self.smoothed_nll(gold_reading.log_p, gold_reading.y)
            return [nll, kd], (a * gold.ntokens + b * taught.ntokens) / (a + b)
        self.log_nll(reading, log)
        if a is not None:
            kd = kd + a * self.smoothed_nll(reading.log_p, reading.y)
        return [kd], taught.ntokens

    def log_nll(self, reading: Reading, log: dict[str, Any]) -> None:
        """Log the NLL of the text that counts as gold."""
        log["nll_loss"], log["nll_ntokens"] = reading.nll.sum(), len(reading.y)

    def log_agreement(self, reading: Reading, q: Any, log: dict[str, Any]) -> None:
        """Log what a teacher that is not needed makes of a text; None is no teacher."""
        if q is not None:
            self.log_teacher(reading, q, log)
            log["agreement"] = q.best().eq(reading.log_p.argmax(-1)).sum()
            log["kd_ntokens"] = len(reading.y)

    def smoothed_nll(self, log_p: Tensor, y: Tensor) -> Tensor:
        """Label-smoothed NLL of each token [N], with fairseq's formula."""
        smoothed: Tensor = label_smoothed_nll_loss(
            log_p, y, self.cfg.label_smoothing, reduce=False
        )[0]
        return smoothed

    def distil(self, readings: list[Reading], beliefs: list[Any], log: dict[str, Any]) -> Tensor:
        """The method's weighted term [N]; it is logged, with what the teacher makes of the text."""
        if beliefs[0] is not None:
            self.log_teacher(readings[0], beliefs[0], log)
        terms = []
        for i, (reading, q) in enumerate(zip(readings, beliefs)):
            if q is not None:
                agreed = q.best().eq(reading.log_p.argmax(-1)).sum()
                log[f"agreement_{i + 1}" if i else "agreement"] = agreed
            scores = reading.logits if reading.logits is not None else reading.log_p
            terms.append(self.token_loss(scores, q, reading.y))
            if terms[-1].shape != reading.y.shape:
                raise ValueError(
                    f"{type(self).__name__}.token_loss returned {list(terms[-1].shape)} and must "
                    f"return one number for each token, {list(reading.y.shape)}"
                )
        kd = torch.stack(terms).mean(0)
        log["kd_loss"], log["kd_ntokens"] = kd.sum().detach(), len(kd)
        weights = self.token_weights(readings[0], beliefs[0], log)
        return kd if weights is None else weights * kd

    def log_teacher(self, reading: Reading, q: Any, log: dict[str, Any]) -> None:
        """Log what the teacher makes of the taught text."""
        log["teacher_nll_loss"] = q.nll(reading.y).sum()

    def beliefs(self, model: Any, readings: list[Reading]) -> list[Any]:
        """What the teacher believes at the tokens of each reading; None where it is not needed."""
        if model.training and not self.needs_teacher:
            return [None] * len(readings)
        stored = [self.stored_targets(model, reading) for reading in readings]
        rest = [reading for reading, targets in zip(readings, stored) if targets is None]
        live = iter(self.live_targets(model, rest))
        found = [next(live) if targets is None else targets for targets in stored]
        return [
            None if targets is None else targets.rows(0, len(targets), logits=self.reads_logits)
            for targets in found
        ]

    def stored_targets(self, model: Any, reading: Reading) -> Any:
        """What the store kept of the reading's text; None where it has nothing."""
        if self.store is None or reading.stored is None:
            return None
        self.store.follow(model)
        return self.store.targets(reading.stored, reading.log_p.dtype)

    def live_targets(self, model: Any, readings: list[Reading]) -> list[Any]:
        """What the teacher in memory makes of the readings' prefixes; None without one."""
        if self.teacher is None or not readings:
            return [None] * len(readings)
        self.teacher.follow(model)
        prefixes = [reading.net_input["prev_output_tokens"] for reading in readings]
        return self.teacher.targets_of(readings[0].net_input, prefixes, readings[0].real)

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """See :func:`.logs.reduce`."""
        reduce(logging_outputs, cls.unit)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
