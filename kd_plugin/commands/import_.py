"""``fairseq-kd import``: translations that another program made become a teacher corpus.

A large language model, OPUS-MT, NLLB, a service: one or several translations of each source of
DATA's subset, in its order, as plain detokenised text. The text is cut by the SentencePiece model
that cut DATA; pieces that the dictionary lacks are counted. Sentences are counted, and the text is
compared with the sources: lines that were lost or shifted, copies, and another text are refused.

--format lines  a line a translation, --nbest K of them a sentence; --scores FILE: a number a line
--format jsonl  an object a sentence: {"hypotheses": ["text", {"text": "text", "score": -0.3}]}
--format nbest  sentence ||| text ||| features ||| score, as Moses and Marian write it
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import FORMATS
from .flags import add_data_flags, add_derive_flags, declare, require_positive

EXAMPLE = "  fairseq-kd import data --hypotheses nllb.en --output corpus"


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "make a corpus of another program's translations"
    parser = declare(commands, "import", summary, __doc__, EXAMPLE, run)
    add_data_flags(parser, "its sources were translated")
    add = parser.add_argument
    add("--hypotheses", metavar="FILE", type=Path, required=True, help="plain or gzipped text")
    add("--output", required=True, type=Path, help="folder of the corpus; run again to resume")
    add("--format", choices=FORMATS, default=FORMATS[0], help="(default: %(default)s)")
    add("--nbest", type=int, default=1, help="lines a sentence (default: %(default)s)")
    add("--scores", metavar="FILE", type=Path, help="a number for each of the lines")
    add(
        "--lenpen",
        type=float,
        default=0.0,
        help="scores are log-probabilities divided by length to this power (default: %(default)s)",
    )
    add(
        "--sentencepiece",
        metavar="MODEL",
        type=Path,
        help="what cut DATA's targets (default: the one beside DATA)",
    )
    add("--accept-misaligned", action="store_true", help="take it though it is no translation")
    add_derive_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Import, and print what there is."""
    require_positive(given, "nbest", "workers", "block_size")
    if given.format != "lines" and (given.scores or given.nbest > 1):
        raise InputError(
            f"--format {given.format} has its own scores and numbers of lines; leave --scores and "
            "--nbest out"
        )
    if given.sentencepiece and given.subwords != "sentencepiece":
        raise InputError(
            f"--sentencepiece {given.sentencepiece} and --subwords {given.subwords} are two ways "
            "to cut; give one"
        )
    from ..corpus.adopt import adopt
    from ..corpus.foreign import Foreign
    from ..data.subset import read_sides
    from ..host.ranges import Range, require
    from ..tasks.distillation import DistillationTask

    require("--lenpen", given.lenpen, Range(-10, 1000))
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    pairs = read_sides(task, given.data, given.subset)
    hypotheses = Foreign(given.hypotheses, given.format, given.nbest, given.scores)
    told = adopt(
        task, pairs, hypotheses, given.output, given.subset, given.subwords, given.sentencepiece,
        given.lenpen, given.accept_misaligned, given.workers, given.block_size,
    )  # fmt: skip
    print(told)
