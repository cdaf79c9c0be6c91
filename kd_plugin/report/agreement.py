"""``fairseq-kd agreement``: two checkpoints on the same text, by frequency of its tokens.

Both read the reference (teacher forcing). At every target token, the end of sentence included: do
they prefer the same word (top-1 agreement), how far apart are their distributions (KL), how often
is each right, how many bits does it need, and is its confidence earned (ECE)? docs/agreement.md has
the definitions.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import fairseq
import numpy as np
import torch

from ..commands.flags import (
    add_data_flags,
    add_device_flags,
    add_too_long,
    declare,
    require_positive,
)
from ..data.batches import readable
from ..data.subset import fingerprint, fingerprint_of_sources, read_subset
from ..errors import InputError
from ..host.device import device_of
from ..tasks.distillation import DistillationTask
from ..teachers.checkpoints import load_teacher
from ..teachers.live import LiveTeacher
from ..version import __version__, versions
from .agreement_table import markdown
from .calibration import BINS
from .forced import measure
from .frequency import group_names, parse_edges, target_frequencies
from .output import write_json
from .tally import Tally

EXAMPLE = """  fairseq-kd agreement data --teacher T.pt --student S.pt --subset test --json all.json
  an ensemble, other groups: ... --teacher T1.pt:T2.pt --edges 1,100,10000"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "how alike two checkpoints are, and how well calibrated, by token frequency"
    parser = declare(commands, "agreement", summary, __doc__, EXAMPLE)
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
    add("--bins", type=int, default=BINS, help="of the ECE, equally wide (default: %(default)s)")
    add_too_long(parser, "a checkpoint", "leave them out of both and say so")
    add("--max-tokens", type=int, default=4000, help="tokens in a batch (default: 4000)")
    add("--json", metavar="FILE", help="also write everything here")
    add_device_flags(parser)
    parser.set_defaults(run=agreement)


def agreement(given: argparse.Namespace) -> None:
    """Measure, print and write. Raises InputError for input that cannot be measured."""
    require_positive(given, "bins", "max_tokens")
    edges = parse_edges(given.edges) if given.edges is not None else None
    device = device_of(given)
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    pairs = read_subset(task, given.data, given.subset)
    if pairs.tgt is None or len(pairs) == 0:
        lacks = "references" if pairs.tgt is None else "sentences"
        raise InputError(f"--subset {given.subset}: {given.data} holds no {lacks} of it")
    teacher = load_teacher(given.teacher, task, given.teacher_data, "--teacher")
    student = load_teacher(
        given.student, task, given.student_data, "--student", data_flag="--student-data"
    )
    models = {f"--teacher {given.teacher}": teacher, f"--student {given.student}": student}
    rows = readable(pairs, models, given.subset, skip=given.too_long == "skip")
    frequencies = target_frequencies(task, given.data, given.train_data)
    edges = edges or frequencies.decades()
    names, group_of = group_names(edges), frequencies.groups(edges)
    for model in models.values():
        model.to(device, torch.float16 if given.fp16 else torch.float32)
    tally = Tally(len(names), given.bins)
    on_device = torch.from_numpy(group_of).to(device)
    measure(teacher, student, pairs, rows, on_device, tally, given.max_tokens)
    if not tally.is_finite():
        way_out = "leave --fp16 out" if given.fp16 else "take other checkpoints"
        raise InputError(f"probabilities of {' or '.join(models)} are not finite; {way_out}")

    settings = {
        "subset": given.subset,
        "languages": [task.cfg.source_lang, task.cfg.target_lang],
        "source_sha256": fingerprint_of_sources(pairs),
        "target_sha256": fingerprint(pairs.tgt, pairs.tgt_sizes),
        "dictionary_sha256": task.state.dictionary_sha256,
        "teacher": {"path": given.teacher, "sha256": teacher.files},
        "student": {"path": given.student, "sha256": student.files},
        "frequencies": {"counted": frequencies.source, "sha256": frequencies.sha256},
        "edges": edges,
        "bins": given.bins,
        "too_long": given.too_long,
        "precision": "fp16" if given.fp16 else "fp32",
        "device": device.type,
        "versions": versions(fairseq, torch, np),
    }
    signature = _signature(settings, teacher, student)
    skipped = len(pairs) - len(rows)
    print(markdown(tally, names, given.bins, frequencies.source))
    if skipped:
        print(f"\n{skipped} of {len(pairs)} sentences are left out: a checkpoint cannot read them.")
    print(f"\n    {signature}")
    if given.json:
        types = np.bincount(group_of, minlength=len(names)).tolist()
        groups = [
            {"name": name, "from": low, "types": count, **(asdict(of) if of else {"tokens": 0})}
            for name, low, count, of in zip(names, [0, *edges], types, tally.groups())
        ]
        counts = {"sentences": len(rows), "skipped": skipped, "signature": signature}
        write_json(
            given.json, {**settings, **counts, "all": asdict(tally.total()), "groups": groups}
        )


def _signature(settings: Mapping[str, Any], teacher: LiveTeacher, student: LiveTeacher) -> str:
    """All that could change a number, but for device and versions of others."""
    frequencies = settings["frequencies"]
    parts = {
        "subset": settings["subset"],
        "source": settings["source_sha256"][:8],
        "target": settings["target_sha256"][:8],
        "teacher": teacher.identity,
        "student": student.identity,
        "freq": f"{frequencies['counted']}.{frequencies['sha256'][:8]}",
        "edges": ",".join(map(str, settings["edges"])),
        "bins": settings["bins"],
        "too-long": settings["too_long"],
        "precision": settings["precision"],
        "v": __version__,
    }
    return "|".join(["agreement", *(f"{name}:{value}" for name, value in parts.items())])
