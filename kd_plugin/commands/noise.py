"""``fairseq-kd noise``: damage words of a data folder: delete, substitute, swap with the next.

Each rate is the chance of a word; several kinds are applied as substitution, swapping, deletion. No
sentence becomes empty. The damage of a sentence depends on --seed, its number and its side alone.
The other sets, valid and test, are copied as they are.

Before the teacher decodes: noise DATA's sources, and generate from the noisy folder. After: noise
the folder that binarise made.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import SUBWORDS
from .flags import add_data_flags, declare

EXAMPLE = "  fairseq-kd noise data --delete 0.1 --side source --output noisy"
KINDS = ("delete", "substitute", "swap")


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "damage words of a data folder"
    parser = declare(commands, "noise", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "its text is damaged in a new folder")
    add = parser.add_argument
    add("--output", required=True, type=Path, help="the new folder")
    for kind in KINDS:
        add(f"--{kind}", type=float, default=0.0, metavar="RATE", help="(default: 0)")
    add(
        "--by",
        choices=("uniform", "frequency"),
        default="uniform",
        help="how a substitute is drawn from the side's words (default: %(default)s)",
    )
    add("--side", choices=("source", "target", "both"), default="source", help="(default: source)")
    add("--seed", type=int, default=1, help="(default: %(default)s)")
    add("--subwords", choices=SUBWORDS, default=SUBWORDS[0], help="(default: %(default)s)")


def run(given: argparse.Namespace) -> None:
    """Damage, and print how much."""
    from ..host.ranges import Range, require

    for kind in KINDS:
        require(f"--{kind}", getattr(given, kind), Range(0, 1))
    if not any(getattr(given, kind) for kind in KINDS):
        raise InputError("no noise is asked for; give --delete, --substitute or --swap a rate")
    from ..corpus.noise import Noise, add_noise
    from ..tasks.distillation import DistillationTask

    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    noise = Noise(
        given.delete, given.substitute, given.swap, given.by, given.side, given.seed, given.subwords
    )
    counts = add_noise(task, noise, given.output, given.subset)
    print(f"{given.output}: " + ", ".join(f"{key} {value}" for key, value in counts.items()))
