"""What a teacher's text is like, beside the gold: see ``fairseq-kd describe --help``."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.subset import read_subset
from ..files.shards import subset_name
from .binarise import require_corpus_of
from .records import read_corpus
from .references import Sources, Targets
from .similarity import Metric, SentenceBleu, SentenceChrf
from .text import joined

Row = dict[str, Any]
COLUMNS = {  # of the table: heading and form
    "sentences": ("sentences", ",d"), "words": ("words", ",d"), "types": ("types", ",d"),
    "entropy_1": ("H1", ".3f"), "entropy_2": ("H2", ".3f"), "conditional": ("H2 - H1", ".3f"),
    "length_ratio": ("words / source", ".3f"), "copies": ("copies", ".2%"),
    "identical": ("= reference", ".2%"), "bleu": ("BLEU", ".2f"), "chrf": ("chrF", ".2f"),
    "oracle_bleu": ("oracle BLEU", ".2f"), "oracle_chrf": ("oracle chrF", ".2f"),
}  # fmt: skip


def describe(
    task: Any, corpora: Sequence[Path], subset: str, subwords: str, tokenize: str = "13a"
) -> list[Row]:
    """One row for the references of the data, one for the best hypotheses of each corpus.

    Memory holds the different words and pairs of neighbouring words of one text.

    Raises:
        InputError: a corpus is not whole, or not of the data.
    """
    pairs = read_subset(task, task.cfg.data, subset)
    sources, references = Sources(pairs, subwords), Targets(pairs, subwords)
    metrics: tuple[Metric, ...] = (SentenceBleu("exp", tokenize), SentenceChrf())
    opened = [require_corpus_of(task, pairs, one, subset_name(task, subset)) for one in corpora]
    gold = ((sources[row], references[row]) for row in range(len(pairs)))
    rows = [{"text": "references", **_of_text(gold)}]
    for folder, shards in zip(corpora, opened):
        nbest = _Nbest(metrics, references)
        taught = (
            (sources[record["id"]], nbest.best(record["id"], record["hypotheses"], subwords))
            for record in read_corpus(shards)
            if record["hypotheses"]
        )
        rows.append({"text": str(folder), **_of_text(taught), **nbest.row()})
    return rows


def _of_text(pairs: Iterable[tuple[str, str]]) -> Row:
    """What is counted of sources and their translations."""
    ngrams: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
    sentences = of_source = copies = 0
    for source, text in pairs:
        words = text.split()
        ngrams[0].update(words)
        ngrams[1].update(itertools.pairwise(words))
        sentences += 1
        of_source += len(source.split())
        copies += source == text
    words_in_all = sum(ngrams[0].values())
    entropies = [_entropy(found.values()) for found in ngrams]
    return {
        "sentences": sentences,
        "words": words_in_all,
        "types": len(ngrams[0]),
        "entropy_1": entropies[0],
        "entropy_2": entropies[1],
        "conditional": entropies[1] - entropies[0],
        "length_ratio": words_in_all / max(of_source, 1),
        "copies": copies / max(sentences, 1),
    }


def _entropy(counts: Iterable[int]) -> float:
    """Bits of a draw from what was counted."""
    numbers = list(counts)
    total = sum(numbers)
    return math.fsum(-n / total * math.log2(n / total) for n in numbers)


class _Nbest:
    """Scores of best and of likest hypotheses against the references."""

    def __init__(self, metrics: Sequence[Metric], references: Targets):
        self.metrics, self.references = metrics, references
        self.sums: dict[str, Any] = {}
        self.identical = self.sentences = 0

    def best(self, row: int, hypotheses: Sequence[Any], subwords: str) -> str:
        """The text of the best; all are scored."""
        texts = [joined(hypothesis["text"], subwords) for hypothesis in hypotheses]
        reference = self.references[row]
        for metric in self.metrics:
            counts = metric.counts(texts, [reference])[:, 0]
            likest = int(np.argmax(metric.scores(counts).round(9)))
            for name, place in ((metric.name, 0), (f"oracle_{metric.name}", likest)):
                self.sums[name] = self.sums.get(name, 0) + counts[place]
        self.sentences += 1
        self.identical += texts[0] == reference
        return texts[0]

    def row(self) -> Row:
        """Corpus scores."""
        told: Row = {"identical": self.identical / max(self.sentences, 1)}
        for metric in self.metrics:
            for name in (metric.name, f"oracle_{metric.name}"):
                if name in self.sums:
                    told[name] = metric.corpus(self.sums[name].tolist())
        return told


def markdown(rows: Sequence[Row]) -> str:
    """A table; what a row has not is a dash."""
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    yield "| text | " + " | ".join(heading for heading, _ in COLUMNS.values()) + " |"
    yield "|---|" + "---:|" * len(COLUMNS)
    for row in rows:
        cells = [format(row[k], form) if k in row else "-" for k, (_, form) in COLUMNS.items()]
        yield f"| {row['text']} | " + " | ".join(cells) + " |"
