"""``fairseq-kd export``: a student that translates without this plugin.

``--format fairseq`` (the default) writes a checkpoint of plain dictionaries and tensors, task
`translation`, which stock fairseq-generate reads under torch's safe loading. ``--format
ctranslate2`` writes a folder that needs neither fairseq nor torch, only ctranslate2 and
sentencepiece; docs/export.md has ten lines of Python that translate with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.names import EXPORTS, QUANTIZATIONS
from .flags import declare

EXAMPLE = """  fairseq-kd export student/checkpoint_best.pt student.pt
  fairseq-kd export student/checkpoint_best.pt student.ct2 --format ctranslate2 \\
      --quantization int8 --subwords data/text/subwords/joint.model"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "write a student that translates without this plugin, or without fairseq"
    parser = declare(commands, "export", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", type=Path)
    add("output", metavar="OUTPUT", type=Path, help="a file; with ctranslate2 a folder")
    add("--format", choices=EXPORTS, default="fairseq", help="(default: %(default)s)")
    about = "of the weights, with ctranslate2 (default: none, float32)"
    add("--quantization", choices=QUANTIZATIONS, help=about)
    about = "SentencePiece's model of both languages, or of source and target, to copy along"
    add("--subwords", type=Path, nargs="+", default=[], metavar="FILE", help=about)
    about = "folder with the student's dict.*.txt (default: the one it was trained from)"
    add("--data", help=f"with ctranslate2: {about}")


def run(given: argparse.Namespace) -> None:
    """Export, and print where."""
    if given.format == "fairseq":
        for name in ("quantization", "subwords", "data"):
            if getattr(given, name):
                raise InputError(f"--{name} is of --format ctranslate2; give that, or leave it out")
        from ..models.weights import export

        export(given.checkpoint, given.output)
    else:
        from ..models.outside import export_outside

        export_outside(
            given.checkpoint, given.output, given.data, given.subwords, given.quantization
        )
    print(given.output)
