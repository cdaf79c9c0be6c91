"""What every distillation criterion shares; a method supplies one equation.

Shapes: B sentences, T positions, N real (non-padding) tokens, V vocabulary; n of the N tokens, in
one slice of them. The loss is made slice by slice (:mod:`kd_plugin.ops`) where ``--kd-fused`` and
the student allow it, else of one slice.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, FairseqCriterion
from fairseq.dataclass.utils import gen_parser_from_dataclass
from torch import Tensor

from ..errors import InputError
from ..host.projection import why_not_a_product
from ..host.ranges import check_ranges
from ..ops import SmoothedNLL, Term
from ..ops.linear import LEAST_ROWS, chunk_rows
from ..tasks.config import TeacherConfig
from ..tasks.distillation import DistillationTask
from ..teachers import AllRows, WholeBelief
from .config import VOCABULARY, DistillationConfig, check_weights, signature
from .lesson import learn
from .logs import add, reduce
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
    gold_is_reference = False  # and so is what the teacher is asked about
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
        self.fused, self.told = False, False  # whether this batch's loss is, and why not
        if task.has_student:
            self.fuses(task.why_not_a_product)
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
        """The paper's equation; it looks at each token alone.

        Args:
            log_p: the student's log-probabilities [n, V]; its logits with ``reads_logits``.
            q: what the teacher believes at the same positions; it has logits with
                ``reads_logits``. A method with ``needs_teacher = False`` must not read it.
            y: the tokens of the taught text [n].

        Returns:
            the distillation term of each token, in nats [n].
        """
        return self.by_hand(q, y).value(log_p)

    def by_hand(self, q: Any, y: Tensor) -> Term:
        """In place of ``token_loss``: an equation whose gradient is written out."""
        raise NotImplementedError(f"{type(self).__name__} defines no token_loss")

    @property
    def by_autograd(self) -> bool:
        """Whether the method has a ``token_loss``, whose gradient autograd finds."""
        return getattr(self.token_loss, "__func__", None) is not DistillationCriterion.token_loss

    def token_weights(self, reading: Reading, q: Any, log: dict[str, Any]) -> Tensor | None:
        """The weight of each token's distillation term, without gradient [N]; None is 1."""
        return None

    def read(self, model: Any, sample: Mapping[str, Any], text: Text) -> list[Reading]:
        """Let the student read a text from which it will be taught, once or several times.

        The distillation term is the mean over the readings; all else belongs to the first.
        """
        return [read(model, sample, text, self.padding_idx, self.fused, self.reads_logits)]

    def weights(self, model: Any, sample: Mapping[str, Any]) -> tuple[float | None, float | None]:
        """Weights of the gold and the distillation term; None for a term that is not computed."""
        a, b = self.cfg.nll_weight, self.cfg.kd_weight
        if model.training:
            return a or None, b or None
        can_teach = "distilled" in sample
        if self.needs_teacher:
            can_teach = self.teacher is not None or is_stored(sample)
        return (a, b) if can_teach else (1, None)

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
            reading = read(model, sample, gold, self.padding_idx, self.fused)
            q = None
            if not (model.training or self.needs_teacher):  # a teacher that is only compared with
                (q,) = self.beliefs(model, [reading])
            nll, _ = learn(self, reading, log, a or 0, q=q)
            if q is not None:
                log["kd_ntokens"] = len(reading.y)
            return [nll], gold.ntokens
        readings = self.read(model, sample, taught)
        beliefs = self.beliefs(model, readings)
        if a is None or taught is gold:
            return [self.distil(readings, beliefs, b, a, log)], taught.ntokens
        kd = self.distil(readings, beliefs, b, None, log)
        of_gold: dict[str, Any] = {}  # replaces the NLL of the taught text
        reading = read(model, sample, gold, self.padding_idx, self.fused)
        nll, _ = learn(self, reading, of_gold, a)
        log.update(of_gold)
        return [nll, kd], (a * gold.ntokens + b * taught.ntokens) / (a + b)

    def log_teacher(self, q: Any, y: Tensor, log: dict[str, Any]) -> None:
        """Log what the teacher makes of some tokens [n] of the taught text."""
        add(log, "teacher_nll_loss", q.nll(y))

    def targets(self, model: Any, readings: list[Reading]) -> list[Any]:
        """Of each reading: from the store where it has the text, else from the live teacher."""
        stored = [self.stored_targets(model, reading) for reading in readings]
        rest = [reading for reading, targets in zip(readings, stored) if targets is None]
        live = iter(self.live_targets(model, rest))
        return [next(live) if targets is None else targets for targets in stored]

    # Mechanics

    def fuses(self, why_not: str | None) -> bool:
        """Whether ``--kd-fused`` wants the loss slice by slice; ``why_not`` says what forbids it.

        Raises:
            InputError: ``--kd-fused on``, and something forbids it.
        """
        if self.reads_logits:
            why_not = f"--criterion {self.name} reads the student's logits with these flags"
        given = str(self.cfg.kd_fused)
        if given == "off" or why_not is None:
            return given != "off"
        if given == "on":
            raise InputError(f"--kd-fused on: {why_not}; give --kd-fused auto")
        if not self.told:
            logger.info(f"--kd-fused auto: the loss is not fused, because {why_not}")
            self.told = True
        return False

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
        read, the gold text's tokens come first. Such a loss with a gradient is never fused.
        """
        why_not = why_not_a_product(model)
        self.fused = self.fuses(why_not) and (reduce or not torch.is_grad_enabled())
        reference, distilled = texts(sample)
        log: dict[str, Any] = {}
        losses, tokens = self.losses(model, sample, reference, distilled, log)
        loss = torch.cat(losses)
        sentences = len(reference.target)
        sample_size = sentences if self.cfg.sentence_avg else tokens
        log["loss"] = loss.sum().detach()
        log.update(ntokens=tokens, nsentences=sentences, sample_size=sample_size)
        return loss.sum() if reduce else loss, sample_size, log

    def distil(
        self,
        readings: list[Reading],
        beliefs: list[AllRows | None],
        b: float,
        a: float | None,
        log: dict[str, Any],
    ) -> Tensor:
        """The weighted term, with the gold term of the first reading unless ``a`` is None."""
        chosen = self.token_weights(readings[0], beliefs[0], log)
        weights = b / len(readings) * (1 if chosen is None else chosen)
        losses, values = [], []
        for i, (reading, q) in enumerate(zip(readings, beliefs)):
            suffix = f"_{i + 1}" if i else ""
            loss, value = learn(self, reading, log, None if i else a, weights, q, suffix)
            losses.append(loss)
            values.append(value)
        self.log_distillation(torch.stack(values).mean(0), log)
        return torch.stack(losses).sum(0)

    def smoothed_nll(self, y: Tensor) -> SmoothedNLL:
        """Label-smoothed NLL of tokens ``y`` [n]."""
        return SmoothedNLL(y, self.cfg.label_smoothing)

    def log_distillation(self, values: Tensor, log: dict[str, Any]) -> None:
        """Log the distillation term of each token [N]."""
        log["kd_loss"], log["kd_ntokens"] = values.sum(), len(values)

    def beliefs(self, model: Any, readings: list[Reading]) -> list[AllRows | None]:
        """What the teacher believes at the tokens of each reading; None where it is not needed."""
        if model.training and not self.needs_teacher:
            return [None] * len(readings)
        N, y = len(readings[0].y), readings[0].y
        V, itemsize = len(self.task.target_dictionary), readings[0].output.dtype.itemsize
        size = chunk_rows(V, LEAST_ROWS, itemsize, y.device.type) if self.fused else N
        return [
            None if targets is None else AllRows(targets, size, self.reads_logits)
            for targets in self.targets(model, readings)
        ]

    def stored_targets(self, model: Any, reading: Reading) -> Any:
        """What the store kept of the reading's text; None where it has nothing."""
        if self.store is None or reading.stored is None:
            return None
        self.store.follow(model)
        return self.store.targets(reading.stored, reading.output.dtype)

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
