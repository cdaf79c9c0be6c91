"""How each command of ``fairseq-kd`` is declared."""

from __future__ import annotations

import argparse
from typing import Any


def declare(commands: Any, name: str, summary: str, about: str | None, example: str) -> Any:
    """Add a command with its help, which ends in an example; returns its parser."""
    return commands.add_parser(
        name,
        help=summary,
        description=about,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
