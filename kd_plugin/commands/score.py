"""``fairseq-kd score``: BLEU, chrF and others of systems over their seeds, with a baseline.

A Markdown table on standard output. Files are plain UTF-8 text, detokenised, one sentence a line.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .checkpoint import rule
from .flags import add_shuffles, declare, require_shuffles

EXAMPLE = """  fairseq-kd score --references test.en --system plain=p1.en,p2.en,p3.en \\
      --system word-kd=w1.en,w2.en,w3.en --baseline plain --checkpoint-rule average:5"""
TOKENIZERS = (  # sacrebleu's
    "13a", "char", "flores101", "flores200", "intl", "ja-mecab", "ko-mecab", "none", "spBLEU-1K",
    "spm", "zh",
)  # fmt: skip


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "BLEU and chrF of systems over their seeds, with significance"
    parser = declare(commands, "score", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("--references", nargs="+", required=True, metavar="REF", help="reference file(s)")
    add(
        "--system",
        action="append",
        required=True,
        metavar="NAME=HYP[,HYP...]",
        help="a system and its translations, one file for each seed; give the flag once a system",
    )
    add("--baseline", metavar="NAME", help="the system that the others are compared to")
    add(
        "--origlang",
        metavar="FILE",
        help="original languages, for scores of each: a code a line, or sentence number (from 1), "
        "tab and code; an empty code is an unknown language",
    )
    add(
        "--checkpoint-rule",
        metavar="RULE",
        type=rule,
        help="how checkpoints were chosen (last, average:K, best-bleu), for the signature",
    )
    add(
        "--paired",
        action="store_true",
        help="the k-th files of all systems are of one seed: differences by seed, their interval "
        "and sign-flip test",
    )
    add(
        "--segments",
        action="append",
        default=[],
        metavar="ENDING",
        help="another metric, from files HYP.ENDING with a number for each sentence below three "
        "lines that say what it is (docs/scoring.md); give the flag once a metric",
    )
    add("--tokenize", choices=TOKENIZERS, default="13a", help="of BLEU (default: 13a)")
    add_shuffles(parser)
    add(
        "--seed",
        type=int,
        default=12345,
        metavar="N",
        help="of shuffles and resamples (default: 12345)",
    )
    add("--json", metavar="FILE", help="also write everything here")
    add("--plot", metavar="FILE", help="also draw BLEU here, as PNG")


def run(given: argparse.Namespace) -> None:
    """Score, compare, print and write."""
    require_shuffles(given)
    seed, shuffles = given.seed, given.shuffles
    if seed < 0:
        raise InputError(f"--seed {seed} is negative; give 0 or more")
    from ..files.whole import write_json
    from ..report.inputs import parse_system, same_seeds
    from ..report.plot import draw
    from ..report.score import score
    from ..report.scores import METRICS
    from ..report.table import markdown

    systems = [parse_system(text) for text in given.system]
    found = score(
        systems, given.references, given.baseline, given.origlang, given.checkpoint_rule,
        given.tokenize, shuffles, seed, given.segments,
        same_seeds(systems, given.baseline) if given.paired else None,
    )  # fmt: skip
    signatures = found.signatures
    print(
        markdown(systems, found.origlang, given.baseline, found.metrics, signatures, shuffles, seed)
    )
    if given.plot:
        draw(systems, METRICS[0], signatures[METRICS[0]], Path(given.plot))
    if given.json:
        write_json(given.json, found.everything())
