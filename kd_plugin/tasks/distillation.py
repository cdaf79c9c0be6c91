"""Translation with a teacher at hand, and with two targets of a source where they are given."""

import functools
import logging
from collections.abc import Callable
from typing import Any, Optional, TypeVar

from fairseq.data import LanguagePairDataset
from fairseq.logging import metrics
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationTask
from fairseq.utils import resolve_max_positions, split_paths

from ..data import dictionaries
from ..data.subset import folder_for_each, language_pairs, require_binarised
from ..data.two_targets import with_second_target
from ..errors import InputError
from ..host.decode_hook import add_decode_hook, width_of_states
from ..host.device import require_finite, require_precision
from ..host.memory import peak_megabytes
from ..host.paths import absolute
from ..host.projection import why_not_a_product
from ..host.ranges import check_ranges
from ..neighbours.knnmt import translate_with_neighbours
from ..teachers.checkpoints import load_teacher
from ..teachers.live import LiveTeacher
from ..teachers.positions import require_positions
from ..teachers.stored import TeacherStore
from .config import DistillationTaskConfig, TeacherConfig

logger = logging.getLogger(__name__)

Teacher = TypeVar("Teacher")


@register_task("distillation", dataclass=DistillationTaskConfig)
class DistillationTask(TranslationTask):  # type: ignore[misc]
    """fairseq's translation task plus a frozen teacher and a second target.

    ``teacher`` is a :class:`LiveTeacher`, or None without ``--teacher-path``. It is loaded when a
    criterion first asks for it, so that translating with a student needs none.
    """

    cfg: DistillationTaskConfig

    def __init__(self, cfg: Any, src_dict: Any, tgt_dict: Any):
        check_ranges(TeacherConfig, cfg)
        super().__init__(cfg, src_dict, tgt_dict)
        self.from_checkpoint = False
        self.student_positions: Any = None
        self.encoder_width: Optional[int] = None
        self.why_not_a_product: Optional[str] = None
        self.has_student = False
        self.method: Any = None  # the criterion, where it is one of ours
        self.evaluated: Optional[dict[str, Any]] = None  # what the checkpoint tells of its own
        hashes = {code: dictionaries.fingerprint(words) for code, words in self.languages()}
        self.state.merge_state_dict({"dictionary_sha256": hashes})

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "DistillationTask":
        """Build the task; ``from_checkpoint=True`` when a finished run is only evaluated."""
        folder = split_paths(cfg.data)[0] if cfg.data else ""
        require_binarised(folder, cfg.source_lang, cfg.target_lang)
        task: DistillationTask = super().setup_task(cfg, **kwargs)
        task.from_checkpoint = bool(kwargs.get("from_checkpoint"))
        return task

    @classmethod
    def of_data(
        cls, data: str, source_lang: Optional[str] = None, target_lang: Optional[str] = None
    ) -> "DistillationTask":
        """The task of a binarised folder outside of a run; languages are inferred if not given."""
        cfg = DistillationTaskConfig(data=data, source_lang=source_lang, target_lang=target_lang)
        cfg.train_subset, cfg.dataset_impl, cfg.required_seq_len_multiple = "train", None, 1
        return cls.setup_task(cfg)

    def languages(self) -> tuple[tuple[str, Any], tuple[str, Any]]:
        """See :func:`kd_plugin.data.dictionaries.languages`."""
        return dictionaries.languages(self)

    # The student

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        self.student_positions = model.max_positions()
        self.encoder_width = width_of_states(model)
        model = add_decode_hook(model)
        self.why_not_a_product, self.has_student = why_not_a_product(model), True
        return model

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        criterion = super().build_criterion(cfg, from_checkpoint)
        if not self.from_checkpoint:
            require_precision(self.cfg)
        if self.cfg.knnmt_datastore and not self.from_checkpoint:
            raise InputError(
                f"--knnmt-datastore {self.cfg.knnmt_datastore} is for translating; leave it out "
                "where a model is trained"
            )
        self.method = criterion if hasattr(criterion, "needs_teacher") else None
        if self.method is None:
            for flag, value in (
                ("--teacher-path", self.cfg.teacher_path),
                ("--teacher-store", self.cfg.teacher_store),
                ("--distilled-data", self.cfg.distilled_data),
            ):
                if value:
                    raise InputError(
                        f"{flag} {value} is given, and --criterion {cfg._name} does not read it; "
                        "choose a criterion of kd_plugin, or leave the flag out"
                    )
        elif self.from_checkpoint:
            self.method.evaluate_as(self.evaluated)
        return criterion

    def build_generator(self, models: Any, *args: Any, **kwargs: Any) -> Any:
        """fairseq's; with ``--knnmt-datastore`` the model is mixed with its neighbours."""
        translate_with_neighbours(models, self)
        return super().build_generator(models, *args, **kwargs)

    # Training

    def train_step(
        self,
        sample: Any,
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        ignore_grad: bool = False,
    ) -> Any:
        """fairseq's; our criterion is told the update's number and whether the batch counts."""
        if self.method is not None:
            device = next(model.parameters()).device
            self.method.begin_batch(update_num, not ignore_grad, device)
        found = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        if getattr(optimizer, "scaler", None) is None:
            require_finite(found[0], update_num)  # with a scaler, overflows are part of the game
        return found

    def reduce_metrics(self, logging_outputs: Any, criterion: Any) -> None:
        """fairseq's, and the most memory that the process has had, in MB."""
        super().reduce_metrics(logging_outputs, criterion)
        metrics.log_derived("peak_mb", lambda _: peak_megabytes())

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        """fairseq's; then our criterion learns from the update, unless it overflowed."""
        scaler = optimizer.scaler if isinstance(optimizer, AMPOptimizer) else None
        scale = scaler.get_scale() if scaler else 0
        super().optimizer_step(optimizer, model, update_num)
        skipped = scaler is not None and scaler.get_scale() < scale
        if self.method is not None and self.method.memory is not None and not skipped:
            self.method.memory.end_update()

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """What fairseq saves for :meth:`set_checkpoint_dict`: the criterion's memory."""
        memory = self.method.memory if self.method is not None else None
        return {} if memory is None else {type(self).__name__: {"memory": memory.state()}}

    def set_checkpoint_dict(self, state: dict[str, Any]) -> None:
        """Called on all ranks when a run is resumed."""
        if self.method is not None and self.method.memory is not None:
            self.method.memory.restore(state["memory"])

    def state_dict(self) -> dict[str, Any]:
        """What fairseq saves for :meth:`load_state_dict`."""
        state: dict[str, Any] = super().state_dict()
        return state if self.method is None else {**state, "criterion": self.method.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called for a checkpoint that is to be evaluated here: its dictionaries must be ours."""
        self.evaluated = state_dict.get("criterion")
        recorded = state_dict.get("dictionary_sha256", {})
        dictionaries.require_recorded(recorded, self.state.dictionary_sha256, self.cfg.data)

    # The teacher

    @functools.cached_property
    def teacher(self) -> Optional[LiveTeacher]:
        """The teacher(s) of ``--teacher-path``, loaded, checked and frozen."""
        paths = self.cfg.teacher_path
        if not paths:
            if self.cfg.teacher_data:
                raise InputError(
                    f"--teacher-data {self.cfg.teacher_data} describes a teacher and none is "
                    "given; add --teacher-path CHECKPOINT"
                )
            return None
        return self._unless_gone(lambda: load_teacher(paths, self, self.cfg.teacher_data))

    @functools.cached_property
    def store(self) -> Optional[TeacherStore]:
        """The stores of ``--teacher-store``, opened and compared with this task."""
        if not self.cfg.teacher_store:
            return None
        return self._unless_gone(lambda: TeacherStore.of_task(self))

    def _unless_gone(self, load: Callable[[], Teacher]) -> Optional[Teacher]:
        """What ``load`` gives; an evaluation of a finished run does without it, and says so."""
        try:
            return load()
        except InputError as error:
            if not self.from_checkpoint:
                raise
            logger.warning(f"evaluating without a teacher: {error}")
            return None

    # The data

    def language_pairs(self, folder: str, split: str, combine: bool = False) -> LanguagePairDataset:
        """See :func:`kd_plugin.data.subset.language_pairs`."""
        return language_pairs(self, folder, split, combine)

    def load_dataset(
        self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any
    ) -> None:
        """Load a split; with ``--distilled-data`` its sentences get their second target."""
        shards = split_paths(self.cfg.data)
        shard = (epoch - 1) % len(shards) if split == self.cfg.train_subset else 0
        data: Any = self.language_pairs(shards[shard], split, combine)
        if split == self.cfg.train_subset and not len(data):
            raise InputError(f"the {split} set of {shards[shard]} is empty; name other data")
        if self.cfg.distilled_data:
            data = self._with_second_target(data, split, shard, combine)
        if self.method is not None and self.store is not None:
            needed = split == self.cfg.train_subset
            of_distilled = not self.method.gold_is_reference
            data = self.store.attach(data, shard, split, needed, of_distilled)
        positions = resolve_max_positions(self.max_positions(), self.student_positions)
        teacher = self.teacher if self.method is not None else None
        flag = f"--teacher-path {self.cfg.teacher_path}"
        require_positions(data, positions, teacher, flag, split)
        self.datasets[split] = data

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """fairseq's, but an evaluation reads every sentence, and a resumed run the same batches.

        With ``--required-batch-size-multiple`` above 1 (8 by default) fairseq drops a last batch
        that is no multiple of it, and the longest sentences with it. And it cuts batches once, by
        an order that depends on the epoch at which the process started.
        """
        if dataset is not self.datasets.get(self.cfg.train_subset):
            kwargs["required_batch_size_multiple"] = 1
            return super().get_batch_iterator(dataset, *args, **kwargs)
        if kwargs.get("disable_iterator_cache") or kwargs.get("update_epoch_batch_itr"):
            return super().get_batch_iterator(dataset, *args, **kwargs)  # cut in every epoch
        epoch, cut = kwargs.pop("epoch", 1), dataset in self.dataset_to_epoch_iter
        iterator = super().get_batch_iterator(dataset, *args, **kwargs, epoch=1)
        if not cut:
            iterator.epoch = max(epoch, 1)
        return iterator

    def _with_second_target(self, reference: Any, split: str, shard: int, combine: bool) -> Any:
        flag = f"--distilled-data {self.cfg.distilled_data}"
        folders = folder_for_each(str(self.cfg.distilled_data), self.cfg.data, flag)
        load = functools.partial(self.language_pairs, split=split, combine=combine)
        return with_second_target(reference, load, absolute(folders[shard]), self, split, flag)
