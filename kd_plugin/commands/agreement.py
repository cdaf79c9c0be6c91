"""``fairseq-kd agreement``: two checkpoints on the same text, by frequency of its tokens.

Both read the reference (teacher forcing). At every target token, the end of sentence included: do
they prefer the same word (top-1 agreement), how far apart are their distributions (KL), how often
is each right, how many bits does it need, and is its confidence earned (ECE)? docs/agreement.md has
the definitions.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import InputError
from .flags import add_data_flags, add_device_flags, add_too_long, declare, require_positive

EXAMPLE = """  fairseq-kd agreement data --teacher T.pt --student S.pt --subset test --json all.json
  an ensemble, other groups: ... --teacher T1.pt:T2.pt --edges 1,100,10000"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "how alike two checkpoints are, and how well calibrated, by token frequency"
    parser = declare(commands, "agreement", summary, __doc__, EXAMPLE, run)
    add = parser.add_argument
    add_data_flags(parser, subset="valid")
    add("--teacher", required=True, help="checkpoint(s), separated by colons")
    add("--student", required=True, help="checkpoint(s), separated by colons")
    add("--teacher-data", help="folder with the teacher's dict.*.txt; see --task distillation")
    add("--student-data", help="folder with the student's dict.*.txt")
    add("--train-data", help="folder(s) whose train set is counted for the groups (default: DATA)")
    add(
        "--edges",
        metavar="F,F,...",
        help="smallest frequency of each group (default: 1,10,100,...); unseen tokens are one",
    )
    add("--bins", type=int, default=15, help="of the ECE, equally wide (default: %(default)s)")
    add_too_long(parser, "a checkpoint", "leave them out of both and say so")
    add("--max-tokens", type=int, default=4000, help="tokens in a batch (default: 4000)")
    add("--json", metavar="FILE", help="also write everything here")
    add_device_flags(parser)


def run(given: argparse.Namespace) -> None:
    """Measure, print and write."""
    require_positive(given, "bins", "max_tokens")
    from ..files.whole import write_json
    from ..host.device import device_of, precision_of
    from ..report.agreement import agreement
    from ..report.agreement_table import markdown
    from ..report.frequency import parse_edges
    from ..tasks.distillation import DistillationTask
    from ..teachers.checkpoints import load_teacher

    edges = parse_edges(given.edges) if given.edges is not None else None
    device = device_of(given.fp16, given.cpu)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    teacher = load_teacher(given.teacher, task, given.teacher_data, "--teacher")
    student = load_teacher(
        given.student, task, given.student_data, "--student", data_flag="--student-data"
    )
    for model in (teacher, student):
        model.to(device, precision_of(given.fp16))
    try:
        found = agreement(
            task, {f"--teacher {given.teacher}": teacher, f"--student {given.student}": student},
            given.subset, given.train_data, edges, given.bins, given.too_long, given.max_tokens,
        )  # fmt: skip
    except FloatingPointError as error:
        way_out = "leave --fp16 out" if given.fp16 else "take other checkpoints"
        raise InputError(f"{error}; {way_out}") from None
    print(markdown(found.tally, found.names, given.bins, found.settings["frequencies"]["counted"]))
    if found.skipped:
        print(
            f"\n{found.skipped} of {found.skipped + found.sentences} sentences are left out: a "
            "checkpoint cannot read them."
        )
    print(f"\n    {found.signature}")
    if given.json:
        write_json(given.json, found.everything())
