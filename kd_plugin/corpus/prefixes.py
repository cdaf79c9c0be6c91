"""Extractive memorisation: does a model write a training target when it reads a part of its source?

Of the sentences that a model replicates, those of at least 4 source words whose sides differ in
length by at most 1.3 and are not equal are asked for again, with each prefix of at most 75 % of the
source's words (Dankers & Raunak, 2025, and its code; which also drops text of other languages, and
never asks for all words but one, which matters for sources of 4 words alone). The prefixes are a
data folder, so that ``generate`` translates them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..data.subset import fingerprint, read_sides
from ..errors import InputError
from ..files.schema import SHA256, read_json
from ..files.shards import Shards, subset_name
from .binarise import require_corpus_of
from .derived import essentials, hashes
from .folder import new_data_folder
from .origin import origin_of
from .records import Record, read_corpus
from .references import Targets
from .text import joined
from .words import Splitter

NOTE = "prefixes.json"
SHAPE = {"corpus_sha256": [SHA256], "targets_sha256": SHA256}
SHARE = 3, 4  # of a source's words, at the most
FEWEST = 4  # words of a source
RATIO = 1.3


class Asked:
    """Which sentences are asked for again, and with which prefixes."""

    def __init__(self, pairs: Any, shards: Shards, subwords: str):
        self.pairs, self.shards, self.subwords = pairs, shards, subwords
        self.references = Targets(pairs, subwords)
        self._split = Splitter(pairs.src_dict, subwords)

    def __iter__(self) -> Iterator[tuple[int, list[Any]]]:
        """Each such sentence and its prefixes' token ids, the shortest first."""
        end = self.pairs.src_dict.eos()
        for record in read_corpus(self.shards):
            row = record["id"]
            if self._is_replicated(record):
                source = [token for token in self.pairs.src[row].tolist() if token != end]
                words = self._split(source)
                if self._counts(row, len(words)):
                    most = len(words) * SHARE[0] // SHARE[1]
                    yield row, [self._prefix(words[:size], end) for size in range(1, most + 1)]

    def _is_replicated(self, record: Record) -> bool:
        best = record["hypotheses"][:1]
        text = joined(best[0]["text"], self.subwords) if best else None
        return text == self.references[record["id"]]

    def _counts(self, row: int, words: int) -> bool:
        target = len(self.references[row].split())
        alike = max(words, target) <= RATIO * min(words, target)
        copy = self.pairs.src_dict.string(self.pairs.src[row]) == self.pairs.tgt_dict.string(
            self.pairs.tgt[row]
        )
        return words >= FEWEST and alike and not copy

    @staticmethod
    def _prefix(words: Sequence[Sequence[int]], end: int) -> Any:
        return torch.tensor([*(token for word in words for token in word), end])

    def identity(self) -> dict[str, Any]:
        """What the prefixes are of."""
        targets = fingerprint(self.pairs.tgt, self.pairs.tgt_sizes)
        return {"corpus_sha256": hashes(self.shards), "targets_sha256": targets}


def write_prefixes(task: Any, asked: Asked, output: Path, subset: str) -> dict[str, int]:
    """A data folder whose ``subset`` has all prefixes, with their sentences' targets.

    Nothing is written where nothing is replicated.

    Returns:
        How many sentences are asked for, and how many prefixes there are.

    Raises:
        InputError: the folder exists.
    """
    counts = {"sentences": 0, "prefixes": 0}
    if next(iter(asked), None) is None:
        return counts
    with new_data_folder(task, output, subset, flag="--write-prefixes") as folder:
        for row, prefixes in asked:
            for prefix in prefixes:
                folder.add(prefix, asked.pairs.tgt[row])
            counts["sentences"] += 1
            counts["prefixes"] += len(prefixes)
        folder.note(NOTE, {**asked.identity(), "counts": counts, "subset": subset})
        flags = {"subset": subset, "subwords": asked.subwords}
        data = origin_of(Path(task.cfg.data), [asked.pairs])
        folder.made_by("describe", flags, data, [essentials(asked.shards)])
    return counts


def extracted(asked: Asked, of: Callable[[str], Any], folder: Path, corpus: Path) -> dict[str, Any]:
    """How many of the replicated sentences a prefix is enough for.

    Args:
        asked: the sentences.
        of: makes the task of a data folder.
        folder: what :func:`write_prefixes` wrote for them.
        corpus: the same model's translations of it.

    Raises:
        InputError: the folder is of another text, the corpus of another folder.
    """
    way_out = f"write it with fairseq-kd describe --write-prefixes {folder}"
    told = read_json(folder / NOTE, SHAPE, way_out)
    if any(told[key] != value for key, value in asked.identity().items()):
        raise InputError(
            f"--prefixes {folder} was written for another corpus or other targets; {way_out} again,"
            " into a new folder"
        )
    task, subset = of(str(folder)), str(told.get("subset", "train"))
    pairs = read_sides(task, str(folder), subset)
    shards = require_corpus_of(task, pairs, corpus, subset_name(task, subset))
    translations, found, sentences = read_corpus(shards), 0, 0
    for row, prefixes in asked:
        texts = [next(translations)["hypotheses"][:1] for _ in prefixes]
        reference = asked.references[row]
        sentences += 1
        found += any(joined(h["text"], asked.subwords) == reference for (h,) in filter(None, texts))
    return {"replicated_asked": sentences, "extractive": found / max(sentences, 1)}
