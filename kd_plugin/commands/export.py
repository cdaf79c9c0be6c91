"""``fairseq-kd export``: a student that stock fairseq reads without this plugin.

The checkpoint written is of plain dictionaries and tensors, task `translation`, which stock
fairseq-generate reads under torch's safe loading.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = "  fairseq-kd export student/checkpoint_best.pt student.pt"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "write a student that stock fairseq reads without this plugin"
    parser = declare(commands, "export", summary, __doc__, EXAMPLE, run)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path)
    parser.add_argument("output", metavar="OUTPUT", type=Path)


def run(given: argparse.Namespace) -> None:
    """Export, and print where."""
    from ..models.weights import export

    export(given.checkpoint, given.output)
    print(given.output)
