"""The command ``fairseq-kd score``."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import sacrebleu

from ..errors import InputError
from ..models import checkpoint_rules
from ..version import versions
from .comparison import LEAST_SEEDS, LEVEL, RESAMPLES, compare
from .inputs import check_names, parse_system, read_origlang, read_texts
from .output import write_json
from .plot import draw
from .scores import METRICS, TOKENIZERS, Measure
from .table import markdown

LEAST_SHUFFLES = 1000


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    command = commands.add_parser(
        "score",
        help="BLEU and chrF of systems over their seeds, with significance",
        description="BLEU and chrF of systems over their seeds, compared to a baseline; a Markdown "
        "table on standard output. Files are plain UTF-8 text, detokenised, one sentence a line.",
        epilog="example: fairseq-kd score --references test.en --system plain=p1.en,p2.en,p3.en "
        "--system word-kd=w1.en,w2.en,w3.en --baseline plain --checkpoint-rule average:5",
    )
    add = command.add_argument
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
        type=checkpoint_rules.parse_rule,
        help="how checkpoints were chosen (last, average:K, best-bleu), for the signature",
    )
    add("--tokenize", choices=TOKENIZERS, default="13a", help="of BLEU (default: 13a)")
    add("--shuffles", type=int, default=10_000, metavar="N", help="of the test (default: 10000)")
    add(
        "--seed",
        type=int,
        default=12345,
        metavar="N",
        help="of shuffles and resamples (default: 12345)",
    )
    add("--json", metavar="FILE", help="also write everything here")
    add("--plot", metavar="FILE", help="also draw BLEU here, as PNG")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Score, compare, print and write. Raises InputError for input that makes no table."""
    least, seed, shuffles = LEAST_SHUFFLES, arguments.seed, arguments.shuffles
    if shuffles < least:
        raise InputError(f"--shuffles {shuffles} is too few for a p value; give {least} or more")
    if seed < 0:
        raise InputError(f"--seed {seed} is negative; give 0 or more")
    systems = [parse_system(text) for text in arguments.system]
    check_names(systems, arguments.baseline)
    references, texts = read_texts(arguments.references, systems)
    size = len(references[0])
    origlang = read_origlang(arguments.origlang, size) if arguments.origlang else []

    measure = Measure(references, arguments.tokenize)
    compare(systems, texts, measure, origlang, arguments.baseline, shuffles, seed)
    rule = arguments.checkpoint_rule or "unstated"
    signatures = {
        metric: f"{text}|checkpoint:{rule}" for metric, text in measure.signatures().items()
    }
    print(markdown(systems, origlang, arguments.baseline, signatures, shuffles, seed))
    if arguments.plot:
        draw(systems, METRICS[0], signatures[METRICS[0]], Path(arguments.plot))
    if arguments.json:
        everything = {
            "references": arguments.references,
            "sentences": size,
            "sentences_by_origlang": Counter(origlang),
            "checkpoint_rule": rule,
            "signatures": signatures,
            "baseline": arguments.baseline,
            "test": {
                "shuffles": shuffles,
                "seed": seed,
                "least_seeds": LEAST_SEEDS,
                "level": LEVEL,
                "correction": "Holm",
            },
            "bootstrap": {"resamples": RESAMPLES, "seed": seed, "level": 0.95},
            "systems": [{"n": system.n, **asdict(system)} for system in systems],
            "versions": versions(sacrebleu, np),
        }
        write_json(arguments.json, everything)
