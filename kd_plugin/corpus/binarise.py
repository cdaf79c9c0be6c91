"""A data folder whose training targets a teacher wrote; see ``fairseq-kd binarise --help``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..data.subset import fingerprint_of_sources, read_sides
from ..errors import InputError
from ..files.names import PAIRS_NOTE
from ..files.shards import Shards, subset_name
from .derived import essentials
from .folder import new_data_folder
from .origin import origin_of
from .records import AGAIN, Record, find_corpus, read_corpus


def binarise(
    task: Any,
    corpus: Path,
    output: Path,
    subset: str = "train",
    undecoded: str = "error",
    copies: Sequence[int] = (1,),
) -> dict[str, int]:
    """Write the folder beside and move it into place when it is whole.

    Args:
        task: of the binarised corpus that was translated.
        corpus: folder of the teacher corpus, all shards.
        output: the new folder.
        subset: which subset's targets are the teacher's.
        undecoded: what becomes of pairs without a translation: drop, reference or error.
        copies: how many pairs each of a sentence's first hypotheses makes.

    Returns:
        How many targets are the teacher's, the reference's, and dropped.

    Raises:
        InputError: the corpus is of other sources or dictionaries, or the folder exists.
    """
    data = task.cfg.data
    name = subset_name(task, subset)
    pairs = read_sides(task, data, subset)
    shards = require_corpus_of(task, pairs, corpus, name, any_text=True)
    settings = shards[0][1]["settings"]
    targets = Targets(corpus, subset, pairs, undecoded, copies)
    with new_data_folder(task, output, subset) as folder:
        for record in read_corpus(shards):
            for tokens in targets.of(record):
                folder.add(pairs.src[record["id"]], tokens)
        kept = essentials(shards)
        content = {
            "corpus": settings,
            "sha256": kept["sha256"],
            "inputs": [kept],
            "counts": targets.counts,
        }
        folder.note(PAIRS_NOTE, content)
        flags = {"subset": subset, "undecoded": undecoded, "copies": list(copies)}
        folder.made_by("binarise", flags, origin_of(Path(data), [pairs]), [kept])
    return targets.counts


def require_corpus_of(
    task: Any, pairs: Any, corpus: Path, name: str, any_text: bool = False
) -> Shards:
    """The shards of a corpus that translates ``pairs``; ``any_text`` as in :func:`find_corpus`.

    Raises:
        InputError: it is not whole, or of other sources or dictionaries.
    """
    data = task.cfg.data
    shards = find_corpus(corpus, name, any_text)
    settings = shards[0][1]["settings"]
    if settings["source_sha256"] != fingerprint_of_sources(pairs):
        raise InputError(
            f"{corpus} translates other sources than {name.partition('.')[0]} of {data}; name "
            "the data folder that fairseq-kd generate was given"
        )
    if settings["dictionary_sha256"] != task.state.dictionary_sha256:
        raise InputError(
            f"{corpus} was made with other dictionaries than those of {data}; name the "
            "data folder that fairseq-kd generate was given"
        )
    return shards


class Targets:
    """The targets of each pair, and how many came from where."""

    def __init__(
        self, corpus: Path, subset: str, pairs: Any, undecoded: str, copies: Sequence[int] = (1,)
    ):
        self.corpus, self.subset, self.pairs = corpus, subset, pairs
        self.undecoded, self.copies = undecoded, copies
        if undecoded == "reference" and pairs.tgt is None:
            raise InputError(
                f"--undecoded reference: {subset} of the data has sources alone; give drop or error"
            )
        self.counts = {"teacher": 0, "reference": 0, "dropped": 0}

    def of(self, record: Record) -> list[Any]:
        """Token ids of each target of a sentence; none where the pair is dropped."""
        row = record["id"]
        if record["hypotheses"]:
            targets = [
                torch.tensor(self._checked(hypothesis["tokens"], row))
                for hypothesis, times in zip(record["hypotheses"], self.copies)
                for _ in range(times)
            ]
            self.counts["teacher"] += len(targets)
            return targets
        if self.undecoded == "reference":
            self.counts["reference"] += 1
            return [self.pairs.tgt[row]]
        if self.undecoded == "drop":
            self.counts["dropped"] += 1
            return []
        raise InputError(
            f"{self.corpus} has no translation of line {row + 1} of {self.subset} "
            f"({record['reason']}); say what becomes of such pairs with --undecoded drop or "
            "--undecoded reference"
        )

    def _checked(self, tokens: list[int], row: int) -> list[int]:
        if not tokens or max(tokens) >= len(self.pairs.tgt_dict):
            raise InputError(
                f"{self.corpus}: the translation of line {row + 1} is not of this dictionary's "
                f"{len(self.pairs.tgt_dict)} tokens; {AGAIN}"
            )
        return tokens
