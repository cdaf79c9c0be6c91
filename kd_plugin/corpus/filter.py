"""A corpus without the hypotheses that break a rule; see ``fairseq-kd filter --help``."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.subset import fingerprint, read_subset
from ..files.shards import subset_name
from .binarise import require_corpus_of
from .derived import BLOCK_SIZE, Counts, Made, derive
from .records import Record
from .references import Sources
from .rules import Hypothesis, Rule
from .text import joined


def filter_corpus(
    task: Any,
    corpus: Path,
    output: Path,
    subset: str,
    rules: Mapping[str, Rule],
    flags: Mapping[str, Any],
    duplicates: bool,
    subwords: str,
    workers: int = 1,
    block_size: int = BLOCK_SIZE,
) -> str:
    """Write the corpus, or go on with it.

    Args:
        task: of the binarised corpus that was translated.
        corpus: its translations.
        output: folder of the new corpus.
        subset: of the data.
        rules: by name, in the order in which they are asked; the first that is broken counts.
        flags: what the command line said, for the manifest.
        duplicates: whether a hypothesis that its source had before is dropped; this needs a hash of
            every hypothesis that is kept in memory, and one process.
        subwords: what cut the words.
        workers, block_size: as in :func:`.derived.derive`.

    Returns:
        The file and what was dropped why, in a line.

    Raises:
        InputError: the corpus is not whole, or not of the data.
    """
    pairs = read_subset(task, task.cfg.data, subset)
    name = subset_name(task, subset)
    shards = require_corpus_of(task, pairs, corpus, name)
    step = _Filter(pairs, rules, duplicates, subwords)
    reads = {"data": fingerprint(pairs.src, pairs.src_sizes)}
    names = {"data": str(task.cfg.data)}
    made = Made("filter", flags, reads, names, block_size=block_size)
    recall = step.remember if duplicates else None
    workers = 1 if duplicates else workers
    return derive([shards], output, name, made, step, workers=workers, recall=recall)


class _Filter:
    """The record without the hypotheses that break a rule; a reason where none is left."""

    def __init__(self, pairs: Any, rules: Mapping[str, Rule], duplicates: bool, subwords: str):
        self.pairs, self.rules, self.subwords = pairs, rules, subwords
        self.sources = Sources(pairs, subwords)
        self.seen: set[bytes] | None = set() if duplicates else None

    def __call__(self, records: list[Record], extra: Any) -> tuple[Record, Counts]:
        (record,) = records
        row = record["id"]
        if not record["hypotheses"]:
            return record, {"undecoded before": 1}
        source = self.sources[row]
        kept, noted = [], Counter[str]()
        first: str | None = None
        for number, hypothesis in enumerate(record["hypotheses"]):
            broken = self._broken(row, source, hypothesis)
            if broken is None:
                kept.append(hypothesis)
                self._add(row, hypothesis)
            else:
                noted[f"hypotheses dropped: {broken}"] += 1
            first = broken if number == 0 else first
        noted["hypotheses kept"] += len(kept)
        if kept:
            noted["sentences kept"] += 1
            return {"id": row, "hypotheses": kept}, noted
        noted[f"sentences dropped: {first}"] += 1
        return {"id": row, "hypotheses": [], "reason": f"filtered: {first}"}, noted

    def remember(self, record: Record) -> None:
        """What an earlier run kept."""
        for hypothesis in record["hypotheses"]:
            self._add(record["id"], hypothesis)

    def _broken(self, row: int, source: str, hypothesis: Record) -> str | None:
        tokens = hypothesis["tokens"]
        seen = Hypothesis(
            source, joined(hypothesis["text"], self.subwords), int(self.pairs.src_sizes[row]) - 1,
            max(len(tokens) - 1, 0), hypothesis["text"].split(), tokens, hypothesis.get("score"),
        )  # fmt: skip
        for name, broken in self.rules.items():
            if broken(seen):
                return name
        if self.seen is not None and self._key(row, hypothesis) in self.seen:
            return "duplicate"
        return None

    def _add(self, row: int, hypothesis: Record) -> None:
        if self.seen is not None:
            self.seen.add(self._key(row, hypothesis))

    def _key(self, row: int, hypothesis: Record) -> bytes:
        content = self.pairs.src[row].numpy().astype("<i8").tobytes()
        content += b"\0" + hypothesis["text"].encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, digest_size=16).digest()
