"""The flags of ``--task distillation``; fairseq reads the types, so they are not postponed."""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import FairseqDataclass
from fairseq.tasks.translation import TranslationConfig
from omegaconf import II

from ..neighbours.mixture import FLAGS


def knnmt(name: str) -> dict[str, Any]:
    """The metadata of a flag that is kNN-MT's."""
    about, _, allowed = FLAGS[name]
    return {"help": about, "range": allowed}


@dataclass
class TeacherConfig(FairseqDataclass):  # type: ignore[misc]
    """What the task adds to fairseq's translation."""

    teacher_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "teacher checkpoint(s), separated by colons; several are averaged in "
            "probability space"
        },
    )
    teacher_store: Optional[str] = field(
        default=None,
        metadata={
            "help": "folder that fairseq-kd cache or neighbours wrote, in place of a teacher in "
            "memory; one for each data folder, separated by colons"
        },
    )
    teacher_data: Optional[str] = field(
        default=None,
        metadata={
            "help": "folder with the teacher's dict.*.txt, for a checkpoint whose own data path is "
            "gone"
        },
    )
    knnmt_datastore: Optional[str] = field(default=None, metadata=knnmt("datastore"))
    knnmt_k: int = field(default=FLAGS["k"][1], metadata=knnmt("k"))
    knnmt_lambda: float = field(default=FLAGS["lambda"][1], metadata=knnmt("lambda"))
    knnmt_temperature: float = field(default=FLAGS["temperature"][1], metadata=knnmt("temperature"))
    distilled_data: Optional[str] = field(
        default=None,
        metadata={
            "help": "second data folder: the same train sources in the same order, with a "
            "teacher's translations as targets"
        },
    )


@dataclass
class DistillationTaskConfig(TeacherConfig, TranslationConfig):  # type: ignore[misc]
    """Flags of ``--task distillation``, and what it must know of the run's others."""

    cpu: bool = II("common.cpu")
    fp16: bool = II("common.fp16")
    tpu: bool = II("common.tpu")
