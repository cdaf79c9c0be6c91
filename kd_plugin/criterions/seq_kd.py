r"""Sequence-level distillation (Kim and Rush, 2016, section 3.2).

.. math:: \ell_j = -\log p(\hat y_j \mid x, \hat y_{<j})

where :math:`\hat y` is the teacher's beam-search translation of x, the mode of its distribution
over sentences. With ``--distilled-data`` the weight of the NLL belongs to the reference; without,
the data's targets are the teacher's output. The teacher itself is not needed; with
``--teacher-path`` validation also reports agreement with it. Translating the training set and
interpolating (Seq-Inter) are steps of the corpus, not of the loss.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.utils import split_paths
from torch import Tensor

from ..data.subset import tells_of_a_teacher
from ..errors import InputError
from ..ops import SmoothedNLL
from ..teachers import WholeBelief
from .config import WEIGHT, DistillationConfig
from .distillation import DistillationCriterion

logger = logging.getLogger(__name__)


@dataclass
class SeqKDConfig(DistillationConfig):
    nll_weight: float = field(
        default=0.0,
        metadata={"help": "weight of the reference's NLL", "range": WEIGHT, "signature": "nll"},
    )
    kd_weight: float = field(
        default=1.0,
        metadata={"help": "weight of the teacher text's NLL", "range": WEIGHT, "signature": "kd"},
    )


@register_criterion("seq_kd", dataclass=SeqKDConfig)
class SeqKD(DistillationCriterion):
    needs_teacher = False
    reads_stores = ()
    gold_is_reference = True

    def check(self, cfg: Any) -> None:
        super().check(cfg)
        if cfg.nll_weight and cfg.kd_weight and not self.task.cfg.distilled_data:
            raise InputError(
                f"--nll-weight {cfg.nll_weight} --kd-weight {cfg.kd_weight} weigh the reference "
                "against the teacher's text, and the data has one of them; give the other with "
                "--distilled-data, or set one weight to 0"
            )
        data = split_paths(self.task.cfg.data)[0]
        alone = not (self.task.cfg.distilled_data or self.task.from_checkpoint)
        if alone and not tells_of_a_teacher(data):
            logger.warning(
                f"--criterion seq_kd takes the targets of {data} for the teacher's text, and "
                "neither fairseq-kd binarise nor mix wrote that folder; if they are the "
                "references, nothing is distilled: give the teacher's text with --distilled-data"
            )

    def by_hand(self, q: WholeBelief, y: Tensor) -> SmoothedNLL:
        return self.smoothed_nll(y)
