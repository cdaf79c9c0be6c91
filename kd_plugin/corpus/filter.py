"""A corpus without the hypotheses that break a rule; see ``fairseq-kd filter --help``."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.subset import fingerprint, read_sides
from ..files.shards import subset_name
from .binarise import require_corpus_of
from .derived import BLOCK_SIZE, Counts, Made, derive
from .gold import StoredGold, to_score
from .origin import origin_of
from .records import Record
from .references import Lines, Sources, sha256_of
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
    gold: Path | None = None,
    gold_scores: Path | None = None,
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
        gold: a store of the corpus's teacher that says how likely the references are.
        gold_scores: a file that says it, for scores of others.
        workers, block_size: as in :func:`.derived.derive`.

    Returns:
        The file and what was dropped why, in a line.

    Raises:
        InputError: the corpus is not whole, or not of the data.
    """
    pairs = read_sides(task, task.cfg.data, subset)
    name = subset_name(task, subset)
    shards = require_corpus_of(task, pairs, corpus, name)
    step = _Filter(pairs, rules, duplicates, subwords)
    reads = {"data": fingerprint(pairs.src, pairs.src_sizes)}
    names = {"data": str(task.cfg.data)}
    feed = None
    if gold:
        step.gold = StoredGold(gold, name, pairs, shards)
        reads["worse_than_gold"], names["worse_than_gold"] = step.gold.sha256(), str(gold)
    if gold_scores:
        reads["gold_scores"] = sha256_of(gold_scores, "--gold-scores")
        names["gold_scores"] = str(gold_scores)
        feed = Lines(gold_scores, "--gold-scores")
        step.scores = gold_scores
    data = origin_of(Path(task.cfg.data), [pairs])
    made = Made("filter", flags, reads, names, block_size=block_size, data=data)
    recall = step.remember if duplicates else None
    workers = 1 if duplicates else workers
    return derive([shards], output, name, made, step, feed, workers, recall=recall)


class _Filter:
    """The record without the hypotheses that break a rule; a reason where none is left."""

    def __init__(self, pairs: Any, rules: Mapping[str, Rule], duplicates: bool, subwords: str):
        self.pairs, self.rules, self.subwords = pairs, rules, subwords
        self.sources = Sources(pairs, subwords)
        self.seen: set[bytes] | None = set() if duplicates else None
        self.gold: StoredGold | None = None
        self.scores: Path | None = None  # the file that each sentence's line is of

    def __call__(self, records: list[Record], extra: Any) -> tuple[Record, Counts]:
        (record,) = records
        row = record["id"]
        if not record["hypotheses"]:
            return record, {"undecoded before": 1}
        source, gold = self.sources[row], self._gold(row, extra)
        kept, noted = [], Counter[str]()
        first: str | None = None
        if gold is None and (self.gold or self.scores):
            noted["sentences whose reference has no score"] += 1
        for number, hypothesis in enumerate(record["hypotheses"]):
            broken = self._broken(row, source, gold, hypothesis)
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

    def _gold(self, row: int, line: Any) -> float | None:
        """The score of the reference, where there is one."""
        if self.scores:
            return to_score(line, self.scores, row)
        return self.gold[row] if self.gold else None

    def _broken(self, row: int, source: str, gold: float | None, hypothesis: Record) -> str | None:
        tokens = hypothesis["tokens"]
        seen = Hypothesis(
            source, joined(hypothesis["text"], self.subwords), int(self.pairs.src_sizes[row]) - 1,
            max(len(tokens) - 1, 0), hypothesis["text"].split(), tokens, hypothesis.get("score"),
            gold, gold is not None and tokens == self.pairs.tgt[row].tolist(),
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
