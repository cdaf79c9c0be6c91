"""``fairseq-kd binarise``: a second data folder whose training targets a teacher wrote.

Token ids go straight from the corpus to fairseq's binary format; nothing is written as text and cut
into subwords again. Valid and test sets keep their references, so that a student is validated on
them. The result is a folder for ``--distilled-data``, or a data folder of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from fairseq.data import indexed_dataset

from ..commands.flags import declare
from ..data.subset import fingerprint_of_sources, read_subset
from ..errors import InputError
from ..files.shards import subset_name
from ..files.whole import to_json, write_atomically
from ..tasks.distillation import DistillationTask
from .records import find_corpus, read_corpus

EXAMPLE = """  fairseq-kd binarise corpus data --output distilled
  fairseq-train data --distilled-data distilled --criterion seq_kd ..."""


def add_command(commands: Any) -> None:
    """Register the command."""
    parser = declare(
        commands, "binarise", "make a data folder from a teacher corpus", __doc__, EXAMPLE
    )
    add = parser.add_argument
    add("corpus", metavar="CORPUS", type=Path, help="output of fairseq-kd generate, all shards")
    add("data", metavar="DATA", help="the binarised corpus that was translated")
    add("--output", required=True, type=Path, help="the new folder")
    add("--subset", default="train", help="(default: %(default)s)")
    add("-s", "--source-lang", help="(default: what DATA holds)")
    add("-t", "--target-lang", help="(default: what DATA holds)")
    add(
        "--undecoded",
        choices=("drop", "reference", "error"),
        default="error",
        help="pairs that the teacher could not translate: drop them (the folder then has fewer "
        "sentences than DATA), keep their reference, or stop (default: %(default)s)",
    )
    parser.set_defaults(run=binarise)


def binarise(given: argparse.Namespace) -> None:
    """Write the folder beside and move it into place when it is whole."""
    task = DistillationTask.of_data(given.data, given.source_lang, given.target_lang)
    name = subset_name(task, given.subset)
    pairs = read_subset(task, given.data, given.subset)
    shards = find_corpus(given.corpus, name)
    settings = shards[0][1]["settings"]
    if settings["source_sha256"] != fingerprint_of_sources(pairs):
        raise InputError(
            f"{given.corpus} translates other sources than {given.subset} of {given.data}; name "
            "the data folder that fairseq-kd generate was given"
        )
    if settings["dictionary_sha256"] != task.state.dictionary_sha256:
        raise InputError(
            f"{given.corpus} was made with other dictionaries than those of {given.data}; name the "
            "data folder that fairseq-kd generate was given"
        )
    if given.output.exists():
        raise InputError(f"--output {given.output} exists; give another, or remove it")
    part = given.output.with_name(given.output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in Path(given.data).iterdir():
        if file.name.startswith("dict.") or _is_other_subset(file.name, given.subset):
            shutil.copy2(file, part / file.name)
    prefix = str(part / f"{name}.")
    counts = _write_subset(prefix, task, pairs, shards, given)
    write_atomically(part / "corpus.json", to_json({"corpus": settings, "counts": counts}))
    os.replace(part, given.output)
    print(f"{given.output}: " + ", ".join(f"{key} {value}" for key, value in counts.items()))


def _is_other_subset(name: str, subset: str) -> bool:
    return name.endswith((".bin", ".idx")) and not name.startswith(f"{subset}.")


def _write_subset(
    prefix: str, task: Any, pairs: Any, shards: Any, given: argparse.Namespace
) -> dict[str, int]:
    sides = {
        code: indexed_dataset.make_builder(f"{prefix}{code}.bin", "mmap", len(words))
        for code, words in task.languages()
    }
    source, target = sides.values()
    counts = {"teacher": 0, "reference": 0, "dropped": 0}
    for record in read_corpus(shards):
        row = record["id"]
        if record["hypotheses"]:
            tokens = torch.tensor(record["hypotheses"][0]["tokens"])
            counts["teacher"] += 1
        elif given.undecoded == "reference":
            tokens = pairs.tgt[row]
            counts["reference"] += 1
        elif given.undecoded == "drop":
            counts["dropped"] += 1
            continue
        else:
            raise InputError(
                f"{given.corpus} has no translation of line {row + 1} of {given.subset} "
                f"({record['reason']}); say what becomes of such pairs with --undecoded drop or "
                "--undecoded reference"
            )
        source.add_item(pairs.src[row])
        target.add_item(tokens)
    for code, builder in sides.items():
        builder.finalize(f"{prefix}{code}.idx")
    return counts
