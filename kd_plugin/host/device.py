"""Where a command computes."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from fairseq import utils

from ..errors import InputError


def device_of(given: argparse.Namespace) -> torch.device:
    """The GPU; the CPU where there is none, or where ``--cpu`` is given.

    Raises:
        InputError: ``--fp16`` is given and no GPU is used.
    """
    device = torch.device("cuda" if torch.cuda.is_available() and not given.cpu else "cpu")
    if given.fp16 and device.type == "cpu":
        raise InputError("--fp16 needs a GPU, and none is used here; leave it out")
    return device


def moved(sample: Any, device: torch.device) -> Any:
    """A batch where ``device`` computes."""
    return utils.move_to_cuda(sample) if device.type == "cuda" else sample
