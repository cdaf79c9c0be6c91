"""The command ``fairseq-kd``; each of its commands is a file beside this one."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import kd_plugin

from ..errors import InputError, MissingHostError
from ..files.output import reason
from ..version import __version__
from . import (
    agreement,
    average,
    binarise,
    cache,
    checkpoint,
    claims,
    comet,
    datastore,
    describe,
    export,
    filter_,
    fold,
    gate,
    generate,
    history,
    import_,
    mix,
    neighbours,
    noise,
    parameters,
    plan,
    prepare,
    progress,
    record,
    report,
    score,
    select,
    sources,
    speed,
    text,
    user_dir,
)
from .parser import Parser

COMMANDS = (
    prepare, sources, generate, import_, select, filter_, mix, noise, fold, describe, history,
    binarise, text, cache, datastore, neighbours, score, comet, agreement, speed, average, export,
    checkpoint, parameters, gate, plan, progress, record, report, claims,
    user_dir,
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The command line; each command's function is ``arguments.run``."""
    parser = Parser(
        prog="fairseq-kd", description="Knowledge distillation for neural machine translation."
    )
    parser.add_argument("--version", action="version", version=f"kd-plugin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for module in COMMANDS:
        module.add_command(commands)
    parser.set_defaults(parser=parser)  # for `plan`, which has commands read by it
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 2 on a bad command line and with 1 where it cannot be done."""
    parsed = build_parser().parse_args(arguments)
    root = logging.getLogger()
    level = root.level
    try:
        if parsed.host:
            kd_plugin.register()
        root.setLevel(logging.WARNING)  # importing fairseq made it tell everything
        parsed.run(parsed)
    except (InputError, MissingHostError) as error:
        sys.exit(f"fairseq-kd: error: {error}")
    except BrokenPipeError:  # whoever reads what is printed has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        sys.exit(f"fairseq-kd: error: {reason(error)}")
    except KeyboardInterrupt:
        sys.exit("fairseq-kd: stopped; run the same command again to go on")
    finally:
        root.setLevel(level)
