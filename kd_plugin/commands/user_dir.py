"""``fairseq-kd user-dir``: print the folder that fairseq's ``--user-dir`` wants."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = '  fairseq-train DATA --user-dir "$(fairseq-kd user-dir)" ...'


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "print the folder for fairseq's --user-dir"
    declare(commands, "user-dir", summary, __doc__, EXAMPLE, run, host=False)


def run(_: argparse.Namespace) -> None:
    """Print it."""
    print(Path(__file__).resolve().parent.parent)
