"""Where, and in which precision, a command or a training computes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from fairseq import utils

from ..errors import InputError


def device_of(fp16: bool = False, cpu: bool = False) -> torch.device:
    """The GPU; the CPU where there is none, or where it is asked for with ``--cpu``.

    Raises:
        InputError: ``--fp16`` is given and no GPU is used.
    """
    device = torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")
    if fp16 and device.type == "cpu":
        raise InputError("--fp16 needs a GPU, and none is used here; leave it out")
    return device


def precision_of(fp16: bool) -> torch.dtype:
    """Of a model under ``--fp16`` or without it."""
    return torch.float16 if fp16 else torch.float32


def a_parameter(model: torch.nn.Module) -> torch.nn.Parameter:
    """A parameter that tells where a model is and in which precision it computes."""
    return next(p for p in model.parameters() if p.is_floating_point())


def moved(sample: Any, device: torch.device) -> Any:
    """A batch where ``device`` computes."""
    return utils.move_to_cuda(sample) if device.type == "cuda" else sample


def require_precision(cfg: Any) -> None:
    """Refuse a training in a precision that the host cannot do here.

    Args:
        cfg: of a run; ``cpu``, ``fp16`` and ``tpu`` are read, which fairseq sets with ``--bf16`` on
            the command line.

    Raises:
        InputError: half precision without a GPU, a TPU without its library.
    """
    if cfg.tpu is True and find_spec("torch_xla") is None:
        raise InputError(
            "--bf16 on the command line asks fairseq for a TPU, and torch_xla is not installed; "
            "leave it out (on a GPU give --fp16 or --amp), or train with fairseq-hydra-train and "
            "common.bf16=true"
        )
    if cfg.fp16 is True and (cfg.cpu or not torch.cuda.is_available()):
        without = "--cpu is given" if cfg.cpu else "none is found here"
        raise InputError(
            f"--fp16 trains on a GPU, and {without}; leave --fp16 (--memory-efficient-fp16) out"
        )


def require_finite(loss: torch.Tensor, update_num: int) -> None:
    """Refuse to go on from a loss that is no number.

    Raises:
        InputError: it is infinite or NaN.
    """
    if not torch.isfinite(loss).all():
        raise InputError(
            f"the loss is {loss.sum().item()} at update {update_num + 1}: training has diverged. "
            "Start again, from a checkpoint before it or anew, with a lower --lr, a longer "
            "--warmup-updates, or --clip-norm 1"
        )
