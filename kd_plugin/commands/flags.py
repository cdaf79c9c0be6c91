"""How each command of ``fairseq-kd`` is declared."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import InputError


def declare(commands: Any, name: str, summary: str, about: str | None, example: str) -> Any:
    """Add a command with its help, which ends in an example; returns its parser."""
    return commands.add_parser(
        name,
        help=summary,
        description=about,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_data_flags(parser: Any, remark: str = "", subset: str = "train") -> None:
    """DATA, ``--subset`` and the languages."""
    add = parser.add_argument
    add("data", metavar="DATA", help="; ".join(filter(None, ("binarised corpus", remark))))
    add("--subset", default=subset, help="(default: %(default)s)")
    add("-s", "--source-lang", help="(default: what DATA holds)")
    add("-t", "--target-lang", help="(default: what DATA holds)")


def add_teacher_flags(parser: Any, required: bool = True) -> None:
    """``--path`` and ``--teacher-data``."""
    add = parser.add_argument
    add("--path", required=required, help="teacher checkpoint(s), separated by colons")
    add("--teacher-data", help="folder with the teacher's dict.*.txt; see --task distillation")


def add_too_long(parser: Any, reader: str, instead: str) -> None:
    """``--too-long``: what to do with sentences that ``reader`` has no positions for."""
    parser.add_argument(
        "--too-long",
        choices=["error", "skip"],
        default="error",
        help=f"sentences that {reader} has no positions for: stop, or {instead} "
        "(default: %(default)s)",
    )


def add_work_flags(parser: Any) -> None:
    """What long work is cut into, and where it is done."""
    add = parser.add_argument
    add("--shard", default="0/1", metavar="I/N", help="part I of N, from 0 (default: all)")
    add(
        "--block-size",
        type=int,
        default=2000,
        help="sentences that a kill can cost (default: %(default)s)",
    )
    add_device_flags(parser)


def add_device_flags(parser: Any) -> None:
    """``--fp16`` and ``--cpu``; see :func:`kd_plugin.host.device.device_of`."""
    parser.add_argument("--fp16", action="store_true", help="half precision; needs a GPU")
    parser.add_argument("--cpu", action="store_true", help="do not use a GPU")


def require_positive(given: argparse.Namespace, *names: str) -> None:
    """Refuse whole-number flags below 1.

    Raises:
        InputError: one is; the first is named.
    """
    for name in names:
        if (value := getattr(given, name)) < 1:
            raise InputError(f"--{name.replace('_', '-')} {value} is too small; give at least 1")
