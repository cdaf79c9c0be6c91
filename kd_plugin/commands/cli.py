"""The command ``fairseq-kd``; each command lives in the module that does its work."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..corpus import binarise, generate, prepare, text
from ..errors import InputError
from ..models import checkpoint_rules, weights
from ..models import parameters as describe
from ..neighbours import datastore
from ..neighbours import retrieval as neighbours
from ..report import agreement, score
from ..teachers import cache
from ..version import __version__


def add_command(commands: Any) -> None:
    """Register ``user-dir``."""
    parser = commands.add_parser(
        "user-dir",
        help="print the folder for fairseq's --user-dir",
        description=user_dir.__doc__,
        epilog='example: fairseq-train DATA --user-dir "$(fairseq-kd user-dir)" ...',
    )
    parser.set_defaults(run=user_dir)


def user_dir(_: argparse.Namespace) -> None:
    """Print the folder that fairseq's --user-dir wants."""
    print(Path(__file__).resolve().parent.parent)


def build_parser() -> argparse.ArgumentParser:
    """The command line; each command's function is ``arguments.run``."""
    parser = argparse.ArgumentParser(
        prog="fairseq-kd", description="Knowledge distillation for neural machine translation."
    )
    parser.add_argument("--version", action="version", version=f"kd-plugin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for module in (
        prepare,
        generate,
        binarise,
        text,
        cache,
        datastore,
        neighbours,
        score,
        agreement,
        weights,
        checkpoint_rules,
        describe,
        sys.modules[__name__],
    ):
        module.add_command(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 2 on a bad command line and with 1 where it cannot be done."""
    parsed = build_parser().parse_args(arguments)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)  # importing fairseq made it tell everything
    try:
        parsed.run(parsed)
    except InputError as error:
        sys.exit(f"fairseq-kd: error: {error}")
    except KeyboardInterrupt:
        sys.exit("fairseq-kd: stopped; run the same command again to go on")
    finally:
        root.setLevel(level)
