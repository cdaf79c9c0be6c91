"""``fairseq-kd filter``: drop hypotheses that break a rule.

Rules are asked in the order of the flags below; the first that is broken is counted. A sentence
that keeps no hypothesis becomes a record with a reason, and ``binarise --undecoded`` says what
becomes of it. Lengths are in tokens of the dictionaries. --duplicates holds a hash of every
hypothesis in memory.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .flags import add_derive_flags, add_languages, declare, require_positive

EXAMPLE = """  fairseq-kd filter corpus data --max-ratio 3 --copies --repetition --encoding \\
      --duplicates --output clean
  without what the teacher itself finds less likely than the reference:
  fairseq-kd cache data --path T.pt --output gold-store
  fairseq-kd filter corpus data --worse-than-gold gold-store --output better"""
SWITCHES = {
    "copies": "those that are their source",
    "repetition": "those in which one to four tokens stand four times in a row",
    "unknown": "those with the dictionary's unknown token",
    "encoding": "those with control characters, lost bytes, or UTF-8 read as Windows-1252",
    "duplicates": "those that an earlier sentence with the same source has",
}


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "drop hypotheses that break a rule"
    parser = declare(commands, "filter", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add("corpus", metavar="CORPUS", type=Path, help="a teacher corpus, all shards")
    add("data", metavar="DATA", help="the binarised corpus that was translated")
    add("--output", required=True, type=Path, help="folder of the new corpus; run again to resume")
    add("--subset", default="train", help="(default: %(default)s)")
    add_languages(parser)
    add("--max-ratio", type=float, metavar="R", help="drop those over R times longer or shorter")
    add("--min-score", type=float, metavar="S", help="drop those with a lower score, or none")
    about = "drop those that score lower than their reference, by this store of the same teacher"
    add("--worse-than-gold", type=Path, metavar="STORE", help=about)
    about = "the same by a file with the reference's score for each sentence, for scores of others"
    add("--gold-scores", type=Path, metavar="FILE", help=about)
    about = "how much lower a score may be than the reference's (default: 0)"
    add("--gold-margin", type=float, metavar="M", help=about)
    add("--script", metavar="S[,S]", help="drop those with most letters of others, such as latin")
    for name, about in SWITCHES.items():
        add(f"--{name}", action="store_true", help=f"drop {about}")
    add_derive_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Filter, and print what was dropped why."""
    require_positive(given, "workers", "block_size")
    from ..host.ranges import Range, require

    require("--max-ratio", given.max_ratio, Range(1, 1e6))
    require("--min-score", given.min_score, Range(-1e9, 1e9))
    require("--gold-margin", given.gold_margin, Range(0, 1e9))
    gold = given.worse_than_gold or given.gold_scores
    if given.worse_than_gold and given.gold_scores:
        raise InputError(
            f"--worse-than-gold {given.worse_than_gold} and --gold-scores {given.gold_scores} both "
            "score the references; give one of them"
        )
    if given.gold_margin is not None and not gold:
        raise InputError(
            f"--gold-margin {given.gold_margin} needs scores of the references; give "
            "--worse-than-gold STORE or --gold-scores FILE"
        )
    from ..corpus.filter import filter_corpus
    from ..corpus.rules import chosen
    from ..tasks.distillation import DistillationTask

    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    asked = chosen(
        task.tgt_dict.unk(), given.max_ratio, given.min_score,
        (given.gold_margin or 0.0) if gold else None,
        given.script.split(",") if given.script else (),
        (name for name in SWITCHES if getattr(given, name)),
    )  # fmt: skip
    if not asked and not given.duplicates:
        raise InputError("no rule is given; give one or more, as --max-ratio 3 --copies")
    names = ("max_ratio", "min_score", "gold_margin", "script", *SWITCHES, "subwords")
    flags = {
        name: getattr(given, name) for name in names if getattr(given, name) not in (None, False)
    }
    told = filter_corpus(
        task, given.corpus, given.output, given.subset, asked, flags, given.duplicates,
        given.subwords, given.worse_than_gold, given.gold_scores, given.workers,
        given.block_size,
    )  # fmt: skip
    print(told)
