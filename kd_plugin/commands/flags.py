"""How each command of ``fairseq-kd`` is declared, and the flags that several share.

Declaring imports neither fairseq nor torch, so that ``--help`` and a bad flag answer at once; a
command's ``run`` imports what does the work.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..files.names import SUBWORDS
from ..host.ranges import Range, require, spelled
from ..neighbours.mixture import FLAGS as NEIGHBOURS

Run = Callable[[argparse.Namespace], None]
LEAST_SHUFFLES = 1000


def declare(
    commands: Any, name: str, summary: str, about: str | None, example: str, run: Run,
    host: bool = True,
) -> Any:  # fmt: skip
    """Add a command with its help, which ends in an example; returns its parser.

    Args:
        commands: argparse's subparsers.
        run: does it; called with the parsed flags.
        host: whether it needs fairseq, which is then imported first.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=about,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, host=host, command_parser=parser)
    return parser


def add_data_flags(parser: Any, remark: str = "", subset: str = "train") -> None:
    """DATA, ``--subset`` and the languages."""
    add = parser.add_argument
    add("data", metavar="DATA", help="; ".join(filter(None, ("binarised corpus", remark))))
    add("--subset", default=subset, help="(default: %(default)s)")
    add_languages(parser)


def add_languages(parser: Any, holder: str = "DATA") -> None:
    """``-s`` and ``-t``."""
    parser.add_argument("-s", "--source-lang", help=f"(default: what {holder} holds)")
    parser.add_argument("-t", "--target-lang", help=f"(default: what {holder} holds)")


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


def add_work_flags(parser: Any, block_size: int = 2000) -> None:
    """What long work is cut into."""
    add = parser.add_argument
    add("--shard", default="0/1", metavar="I/N", help="part I of N, from 0 (default: all)")
    add(
        "--block-size",
        type=int,
        default=block_size,
        help="sentences that a kill can cost (default: %(default)s)",
    )


def add_search_flags(parser: Any) -> None:
    """Of any search: length penalty and limits, batches, and the neighbours of kNN-MT."""
    add = parser.add_argument
    add("--lenpen", type=float, default=1.0, help="(default: %(default)s)")
    add("--max-len-a", type=float, default=0.0, help="at most a * source length + b tokens ...")
    add("--max-len-b", type=int, default=200, help="... (default: fairseq's, 0 and 200)")
    add("--max-tokens", type=int, default=4000, help="source tokens in a batch (default: 4000)")
    for name, (about, default, _) in NEIGHBOURS.items():
        kind = str if default is None else type(default)
        about += "" if default is None else " (default: %(default)s)"
        add(f"--knnmt-{name}", type=kind, default=default, help=about)


def require_search(given: argparse.Namespace) -> None:
    """Refuse values of :func:`add_search_flags` that no search takes.

    Raises:
        InputError: one is out of its range.
    """
    require_positive(given, "max_len_b", "max_tokens")
    require("--max-len-a", given.max_len_a, Range(0, 1000))
    require("--lenpen", given.lenpen, Range(-10, 1000))
    for name, (_, default, allowed) in NEIGHBOURS.items():
        require(f"--knnmt-{name}", getattr(given, f"knnmt_{name}"), allowed, default)


def set_neighbours(cfg: Any, given: argparse.Namespace) -> None:
    """Tell the configuration of a task which neighbours a search has."""
    for name in NEIGHBOURS:
        setattr(cfg, f"knnmt_{name}", getattr(given, f"knnmt_{name}"))


def add_derive_flags(parser: Any) -> None:
    """What commands share that make a corpus of a corpus."""
    add = parser.add_argument
    add("--subwords", choices=SUBWORDS, default=SUBWORDS[0], help="(default: %(default)s)")
    add_workers(parser)
    add("--block-size", type=int, default=2000, help="sentences a block (default: %(default)s)")


def add_workers(parser: Any) -> None:
    """``--workers``; what is written does not depend on it."""
    cores = len(os.sched_getaffinity(0))
    about = "processes (default: all cores)"
    parser.add_argument("--workers", type=int, default=cores, help=about)


def add_pairs_flags(parser: Any) -> None:
    """How many training pairs a sentence of a corpus makes, and where it has no hypothesis."""
    add = parser.add_argument
    add("--nbest", type=int, help="hypotheses of a sentence, a pair each (default: 1)")
    add("--copies", metavar="A,B,...", help="pairs of its first hypothesis, of the second, ...")
    add(
        "--undecoded",
        choices=("drop", "reference", "error"),
        default="error",
        help="pairs that the teacher could not translate: drop them (the folder then has fewer "
        "sentences than DATA), keep their reference, or stop (default: %(default)s)",
    )


def parse_copies(given: argparse.Namespace, count: str) -> list[int]:
    """How often each rank is taken, by ``--copies`` or by the flag called ``count``.

    Raises:
        InputError: both are given, or one is no such thing.
    """
    number, copies = getattr(given, count), given.copies
    if copies is None:
        if number is not None:
            require_positive(given, count)
        return [1] * (number or 1)
    if number is not None:
        raise InputError(f"--{count} {number} and --copies {copies} both say how many; give one")
    parts = copies.split(",")
    if not all(part.isdecimal() and len(part) < 5 for part in parts) or not int("".join(parts)):
        raise InputError(f"--copies {copies} is no list of counts; give such as 4,3,2,1")
    return [int(part) for part in parts]


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
            raise InputError(f"{spelled(name)} {value} is too small; give at least 1")


def add_shuffles(parser: Any) -> None:
    """``--shuffles``, of the test between systems."""
    about = "of the test (default: 10000)"
    parser.add_argument("--shuffles", type=int, default=10_000, metavar="N", help=about)


def require_shuffles(given: argparse.Namespace) -> None:
    """Refuse fewer than a p value needs.

    Raises:
        InputError: they are.
    """
    if given.shuffles < LEAST_SHUFFLES:
        raise InputError(
            f"--shuffles {given.shuffles} is too few for a p value; give {LEAST_SHUFFLES} or more"
        )
