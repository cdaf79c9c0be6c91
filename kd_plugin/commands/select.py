"""``fairseq-kd select``: which of a corpus's hypotheses a student is taught.

A scorer orders each sentence's hypotheses; the best --n of them are kept, in order of choice, in a
new corpus with the same sentences. Several CORPUS are pooled: hypotheses of beam search and of
samples, of a left-to-right and a right-to-left teacher.

--by model     the search's own score (best-k)
--by reference likest the reference: Seq-Inter (Kim & Rush, 2016); ties go to the model's score
--by mbr       highest mean metric against the sentence's other hypotheses (MBR; --n: MBR-n)
--by sample    drawn by the model's probability, without replacement
--by scores    --scores FILE: COMET, quality estimation, anything; a number for each hypothesis

Metrics read words, not subwords. With --data or --references the oracle, the anti-oracle, the
1-best and what was selected are scored, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import kd_plugin

from ..errors import InputError
from .flags import add_derive_flags, add_languages, declare, parse_copies, require_positive
from .score import TOKENIZERS

EXAMPLE = """  fairseq-kd select corpus --by reference --data data --output interpolated
  fairseq-kd select corpus --by mbr --metric chrf --n 4 --output mbr4
  fairseq-kd select corpus --by reference --data data --copies 4,3,2,1 --output x"""
SCORERS = ("model", "reference", "mbr", "scores", "sample")
METRICS = {"reference": "bleu", "mbr": "chrf"}  # by default


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "choose among a corpus's hypotheses"
    parser = declare(commands, "select", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add("corpus", metavar="CORPUS", type=Path, nargs="+", help="teacher corpora, all shards")
    add("--output", required=True, type=Path, help="folder of the new corpus; run again to resume")
    add("--subset", default="train", help="(default: %(default)s)")
    add_languages(parser, "CORPUS")
    add("--by", choices=SCORERS, help="(default: model, or scores where --scores is given)")
    add("--n", type=int, help="hypotheses to keep (default: 1)")
    add("--copies", metavar="A,B,...", help="copies of the first choice, of the second, ...")
    add("--data", metavar="DATA", help="references: the targets of this binarised corpus")
    add("--references", metavar="FILE", type=Path, help="references: plain text, a line a sentence")
    add("--metric", choices=("bleu", "chrf"), help="(default: bleu; chrf for --by mbr)")
    add(
        "--smoothing",
        choices=("paper", "exp"),
        default="paper",
        help="of sentence BLEU: Kim & Rush's, or sacrebleu's (default: %(default)s)",
    )
    add("--tokenize", choices=TOKENIZERS, default="13a", help="of BLEU (default: 13a)")
    add("--scores", metavar="FILE", type=Path, help="a number a line for each hypothesis, in order")
    add("--seed", type=int, default=1, help="of --by sample (default: %(default)s)")
    add("--report", metavar="FILE", help="write scores and the chosen ranks here, as JSON")
    add_derive_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Select, print what was chosen and how good it is, and write the report."""
    require_positive(given, "workers", "block_size")
    by = given.by or ("scores" if given.scores else "model")
    copies = parse_copies(given, "n")
    if (by == "scores") != bool(given.scores):
        raise InputError(f"--by {by} and --scores {given.scores} do not fit; give both or none")
    if given.data and given.references:
        raise InputError(f"--data {given.data} and --references are two references; give one")
    if by == "reference" and not (given.data or given.references):
        raise InputError("--by reference needs references; add --data DATA or --references FILE")
    from ..corpus.select import Choice, select, summary
    from ..files.whole import write_json

    pairs = None
    if given.data:
        kd_plugin.register()
        from ..data.subset import read_sides
        from ..tasks.distillation import DistillationTask

        task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
        pairs = read_sides(task, given.data, given.subset)
    choice = Choice(
        by, copies, given.metric or METRICS.get(by, "bleu"), given.smoothing, given.tokenize,
        given.subwords, given.seed, given.scores, given.references, given.data, pairs,
    )  # fmt: skip
    languages = (given.source_lang, given.target_lang)
    told, report = select(
        given.corpus, given.output, given.subset, languages, choice, given.workers, given.block_size
    )
    print(told)
    print(summary(report))
    if given.report:
        write_json(given.report, report, "--report")
