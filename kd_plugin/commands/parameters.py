"""``fairseq-kd parameters``: how many parameters a model has, and how wide its gates leave it.

A model is a checkpoint, or a file of fairseq's flags such as those in configs/models, which is
built for a joint vocabulary of --vocabulary rows. Embeddings are counted apart: tokens, learned
positions and the output matrix; what is shared is counted once. The effective width of a gated
layer is the sum of its channels' gates, each between 0 and 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = """  fairseq-kd parameters student/checkpoint_best.pt
  fairseq-kd parameters configs/models/ladder-*.args --vocabulary 10000"""
SPECIAL = 4  # symbols that every dictionary of fairseq begins with


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "count parameters, tell the width of gates"
    parser = declare(commands, "parameters", summary, __doc__, EXAMPLE, run)
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", type=Path, help="a checkpoint, or a file of flags"
    )
    parser.add_argument(
        "--vocabulary", type=_size, metavar="V", default=10_000,
        help="rows of the joint dictionary, special symbols among them, for a file of flags "
        "(default: %(default)s)",
    )  # fmt: skip


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) <= SPECIAL:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give a number above {SPECIAL}, the special symbols"
        )
    return int(text)


def run(given: argparse.Namespace) -> None:
    """Print what ``--help`` says of each model."""
    from ..models.parameters import count_parameters, gated_layers, of_checkpoint, of_flags

    for path in given.models:
        model = of_flags(path, given.vocabulary) if path.suffix == ".args" else of_checkpoint(path)
        count = count_parameters(model)
        print(f"{path}: {type(model).__name__}")
        print(f"  parameters  {count.total:,}")
        print(f"  embeddings  {count.embeddings:,}")
        print(f"  others      {count.others:,}")
        for name, layer in gated_layers(model):
            width = layer.channel_logits.numel()
            print(f"  {name}  effective width {layer.effective_width():.1f} of {width}")
