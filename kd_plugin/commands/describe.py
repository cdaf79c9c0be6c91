"""``fairseq-kd describe``: what teacher corpora are like, beside the references.

For the references of DATA and the best hypotheses of each CORPUS: sentences, words, different
words, entropy of words and of pairs of words in bits (and their difference, the entropy of a word
given the one before), words for each word of the source, copies of the source, sentences equal to
their reference, BLEU and chrF, and these of the hypotheses likest the references (oracle). A
Markdown table on standard output. (A model's parameters: fairseq-kd parameters.)

With an alignment of words: how many translations a word has (conditional entropy; C(d) averages
over different words, H(Y|X) over all) and how monotone they are (fuzzy reordering score, 1 is
monotone). --align has eflomal align each text; --alignments reads what any aligner wrote.

For a student's translation of its own training text: --memorisation adds the shares of oscillatory
and natural hallucinations to replication (= reference); --write-prefixes and --prefixes ask for
extractive memorisation, see scripts/memorisation.sh.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import SUBWORDS
from ..host.ranges import spelled
from .flags import add_data_flags, add_workers, declare, require_positive
from .score import TOKENIZERS

EXAMPLE = """  fairseq-kd describe data corpus interpolated --json text.json --plot text.png
  under an alignment of words: ... --align links
  of another aligner: ... --alignments gold.pharaoh --alignments corpus.pharaoh ..."""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "types, entropy, lengths, reordering, overlap and memorisation of corpora"
    parser = declare(commands, "describe", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "with the references")
    add = parser.add_argument
    add("corpora", metavar="CORPUS", nargs="*", type=Path, help="teacher corpora, all shards")
    add("--subwords", choices=SUBWORDS, default=SUBWORDS[0], help="(default: %(default)s)")
    add("--tokenize", choices=TOKENIZERS, default="13a", help="of BLEU (default: 13a)")
    about = "align words with eflomal; this folder keeps the links, and gives them again"
    add("--align", type=Path, metavar="FOLDER", help=about)
    about = "links in Pharaoh format, a line a sentence of DATA: one file for the references, then "
    about += "one for each CORPUS"
    add("--alignments", type=Path, metavar="FILE", action="append", default=[], help=about)
    add("--memorisation", action="store_true", help="also count hallucinations")
    about = "of one CORPUS: write the prefixes of what it replicates as a data folder, and no table"
    add("--write-prefixes", type=Path, metavar="FOLDER", help=about)
    about = "what --write-prefixes wrote, and the same model's translations of it"
    add("--prefixes", type=Path, nargs=2, metavar=("FOLDER", "CORPUS"), help=about)
    add_workers(parser)
    add("--json", metavar="FILE", help="also write everything here")
    add("--plot", type=Path, metavar="FILE", help="also draw it (PNG; needs matplotlib)")


def run(given: argparse.Namespace) -> None:
    """Describe, print and write."""
    for path in map(Path, (given.data, *given.corpora)):
        if path.is_file():
            raise InputError(
                f"{path} is a file, and corpora are folders; for a model give fairseq-kd "
                f"parameters {path}"
            )
    for flag in ("write_prefixes", "prefixes"):
        if getattr(given, flag) and len(given.corpora) != 1:
            raise InputError(
                f"{spelled(flag)} is of one CORPUS and {len(given.corpora)} are given; "
                "give the model's translations of DATA"
            )
    require_positive(given, "workers")
    if given.align and given.alignments:
        raise InputError(f"--align {given.align} and --alignments both align; give one of them")
    from ..corpus.describe import Wanted, describe, prefixes_of
    from ..corpus.description import draw, markdown
    from ..files.whole import write_json
    from ..tasks.distillation import DistillationTask

    def task_of(data: str) -> Any:
        return DistillationTask.of_data(data, given.source_lang, given.target_lang)

    task = task_of(given.data)
    if given.write_prefixes:
        of = (given.corpora[0], given.subset, given.subwords, given.write_prefixes)
        print(prefixes_of(task, *of))
        return
    wanted = Wanted(
        given.subwords, given.tokenize, given.alignments, given.align, given.memorisation,
        tuple(given.prefixes) if given.prefixes else None,
    )  # fmt: skip
    rows = describe(task, given.corpora, given.subset, wanted, task_of, given.workers)
    print(markdown(rows))
    if given.json:
        write_json(given.json, rows)
    if given.plot:
        draw(rows, given.plot)
