"""A data folder whose training targets a teacher wrote; see ``fairseq-kd binarise --help``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from fairseq.data import indexed_dataset

from ..data.subset import fingerprint_of_sources, read_subset
from ..errors import InputError
from ..files.output import new_folder
from ..files.shards import subset_name
from ..files.whole import to_json, write_atomically
from .records import AGAIN, Record, find_corpus, read_corpus


def binarise(
    task: Any, corpus: Path, output: Path, subset: str = "train", undecoded: str = "error"
) -> dict[str, int]:
    """Write the folder beside and move it into place when it is whole.

    Args:
        task: of the binarised corpus that was translated.
        corpus: folder of the teacher corpus, all shards.
        output: the new folder.
        subset: which subset's targets are the teacher's.
        undecoded: what becomes of pairs without a translation: drop, reference or error.

    Returns:
        How many targets are the teacher's, the reference's, and dropped.

    Raises:
        InputError: the corpus is of other sources or dictionaries, or the folder exists.
    """
    data = task.cfg.data
    name = subset_name(task, subset)
    pairs = read_subset(task, data, subset)
    shards = find_corpus(corpus, name)
    settings = shards[0][1]["settings"]
    if settings["source_sha256"] != fingerprint_of_sources(pairs):
        raise InputError(
            f"{corpus} translates other sources than {subset} of {data}; name "
            "the data folder that fairseq-kd generate was given"
        )
    if settings["dictionary_sha256"] != task.state.dictionary_sha256:
        raise InputError(
            f"{corpus} was made with other dictionaries than those of {data}; name the "
            "data folder that fairseq-kd generate was given"
        )
    targets = _Targets(corpus, subset, pairs, undecoded)
    with new_folder(output) as part:
        for file in Path(data).iterdir():
            if file.name.startswith("dict.") or _is_other_subset(file.name, subset):
                shutil.copy2(file, part / file.name)
        sides = {
            code: indexed_dataset.make_builder(str(part / f"{name}.{code}.bin"), "mmap", len(words))
            for code, words in task.languages()
        }
        source_side, target_side = sides.values()
        for record in read_corpus(shards):
            tokens = targets.of(record)
            if tokens is not None:
                source_side.add_item(pairs.src[record["id"]])
                target_side.add_item(tokens)
        for code, builder in sides.items():
            builder.finalize(str(part / f"{name}.{code}.idx"))
        content = {"corpus": settings, "counts": targets.counts}
        write_atomically(part / "corpus.json", to_json(content))
    return targets.counts


def _is_other_subset(name: str, subset: str) -> bool:
    return name.endswith((".bin", ".idx")) and not name.startswith(f"{subset}.")


class _Targets:
    """The target of each pair, and how many came from where."""

    def __init__(self, corpus: Path, subset: str, pairs: Any, undecoded: str):
        self.corpus, self.subset, self.pairs, self.undecoded = corpus, subset, pairs, undecoded
        self.counts = {"teacher": 0, "reference": 0, "dropped": 0}

    def of(self, record: Record) -> Any:
        """Token ids; None for a pair that is dropped."""
        row = record["id"]
        if record["hypotheses"]:
            tokens = record["hypotheses"][0]["tokens"]
            if not tokens or max(tokens) >= len(self.pairs.tgt_dict):
                raise InputError(
                    f"{self.corpus}: the translation of line {row + 1} is not of this dictionary's "
                    f"{len(self.pairs.tgt_dict)} tokens; {AGAIN}"
                )
            self.counts["teacher"] += 1
            return torch.tensor(tokens)
        if self.undecoded == "reference":
            self.counts["reference"] += 1
            return self.pairs.tgt[row]
        if self.undecoded == "drop":
            self.counts["dropped"] += 1
            return None
        raise InputError(
            f"{self.corpus} has no translation of line {row + 1} of {self.subset} "
            f"({record['reason']}); say what becomes of such pairs with --undecoded drop or "
            "--undecoded reference"
        )
