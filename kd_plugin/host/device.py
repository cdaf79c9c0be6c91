"""Where a command computes."""

from __future__ import annotations

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


def moved(sample: Any, device: torch.device) -> Any:
    """A batch where ``device`` computes."""
    return utils.move_to_cuda(sample) if device.type == "cuda" else sample
