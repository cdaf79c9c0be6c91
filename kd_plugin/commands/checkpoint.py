"""``fairseq-kd checkpoint``: the checkpoint of a run that a rule names.

One rule for all systems of a table, stated in the signature of its scores: ``last``;
``average:K``, the mean of the weights of the last K checkpoints that were kept; ``best-bleu`` on
the valid set's references. A criterion's loss is no such rule: sequence-level distillation raises
the perplexity of references while BLEU rises.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files.names import parse_rule
from .flags import declare

EXAMPLE = """  fairseq-kd checkpoint student --rule last
  fairseq-kd checkpoint student --rule average:5
      of a training with --save-interval-updates 1000 --keep-interval-updates 5
  fairseq-kd checkpoint student --rule best-bleu
      of one with --eval-bleu --best-checkpoint-metric bleu --maximize-best-checkpoint-metric"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "the checkpoint of a run that a rule names"
    parser = declare(commands, "checkpoint", summary, __doc__, EXAMPLE, run)
    parser.add_argument("folder", metavar="SAVE", type=Path, help="the run's --save-dir")
    parser.add_argument("--rule", required=True, type=rule, help="last, average:K or best-bleu")


def rule(text: str) -> str:
    """A rule's name, for argparse."""
    try:
        return parse_rule(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(given: argparse.Namespace) -> None:
    """Print its path."""
    from ..models.checkpoint_rules import choose

    print(choose(given.folder, given.rule))
