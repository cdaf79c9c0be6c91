"""Flags of every distillation criterion, their rules, and the signature of a run."""

from dataclasses import dataclass, field, fields
from typing import Any

from fairseq.criterions import CRITERION_DATACLASS_REGISTRY
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from ..errors import InputError
from ..host.ranges import Range
from ..version import __version__

WEIGHT = Range(0, 1_000_000)
UPDATES = Range(1, 1_000_000_000)
VOCABULARY = "the vocabulary"


@dataclass
class DistillationConfig(FairseqDataclass):  # type: ignore[misc]
    """What all methods have.

    In a field's metadata ``range`` says which numbers are allowed, ``signature`` is its name in the
    run's signature.
    """

    nll_weight: float = field(
        default=0.5,
        metadata={"help": "weight of the label-smoothed NLL", "range": WEIGHT, "signature": "nll"},
    )
    kd_weight: float = field(
        default=0.5,
        metadata={"help": "weight of the distillation term", "range": WEIGHT, "signature": "kd"},
    )
    label_smoothing: float = field(
        default=0.0,
        metadata={
            "help": "epsilon of the terms whose target is a token; 0 turns smoothing off",
            "range": Range(0, 1, below=True),
        },
    )
    kd_fused: ChoiceEnum(["auto", "on", "off"]) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={
            "help": "the loss in chunks, with no array of all tokens' logits; auto: where the "
            "student allows it. The numbers are equal"
        },
    )
    sentence_avg: bool = II("optimization.sentence_avg")


def check_weights(cfg: Any) -> None:
    """Refuse weights that leave nothing to minimise.

    Raises:
        InputError: both are 0.
    """
    if cfg.nll_weight == cfg.kd_weight == 0:
        raise InputError("--nll-weight 0 and --kd-weight 0 leave no loss; raise one of them")


def signature(name: str, cfg: Any, **sources: str) -> str:
    """What can change a run's result, in one line; flags that are not set are left out.

    Args:
        name: the criterion's name.
        cfg: the values of its flags.
        sources: where teacher and text come from; empty ones are left out.
    """
    declared = fields(CRITERION_DATACLASS_REGISTRY[name])
    named = {f.metadata["signature"]: f.name for f in declared if "signature" in f.metadata}
    values = {short: getattr(cfg, flag) for short, flag in named.items()}
    parts = {short: _plain(value) for short, value in values.items() if value is not None}
    parts |= {what: source for what, source in sources.items() if source}
    parts["ls"] = _plain(cfg.label_smoothing)
    if cfg.sentence_avg:
        parts["avg"] = "sentences"
    return "|".join([name, *(f"{key}:{value}" for key, value in parts.items()), f"v:{__version__}"])


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
