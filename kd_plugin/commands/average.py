"""``fairseq-kd average``: the mean of the weights of checkpoints of one run.

Everything else in the file is the last checkpoint's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = "  fairseq-kd average run/checkpoint{8,9,10}.pt --output run/average.pt"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "average the weights of checkpoints of one run"
    parser = declare(commands, "average", summary, __doc__, EXAMPLE, run)
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", type=Path)
    parser.add_argument("--output", required=True, type=Path)


def run(given: argparse.Namespace) -> None:
    """Average, and print where."""
    from ..models.weights import average

    average(given.checkpoints, given.output)
    print(given.output)
