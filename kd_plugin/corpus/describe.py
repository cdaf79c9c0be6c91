"""What a teacher's text is like, beside the gold: see ``fairseq-kd describe --help``."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..data.subset import read_subset
from ..errors import InputError
from ..files.progress import Progress
from ..files.shards import Shards, subset_name
from .aligner import align
from .binarise import require_corpus_of
from .links import Aligned, Pharaoh
from .memorised import Hallucinations
from .prefixes import FEWEST, Asked, extracted, write_prefixes
from .records import read_corpus
from .references import Sources, Targets
from .similarity import Metric, SentenceBleu, SentenceChrf
from .text import joined

Row = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is told beside the counts of words."""

    subwords: str = "sentencepiece"
    tokenize: str = "13a"  # of BLEU
    alignments: Sequence[Path] = ()  # a file of links for each text
    align: Path | None = None  # the folder of eflomal's links
    hallucinations: bool = False
    prefixes: tuple[Path, Path] | None = None  # of extractive memorisation: data folder, corpus


class Counted(Protocol):
    """One thing that is told of a text."""

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        """A sentence that has translations, best first."""

    def row(self) -> Row:
        """What was found."""


def describe(
    task: Any, corpora: Sequence[Path], subset: str, wanted: Wanted, of: Callable[[str], Any]
) -> list[Row]:
    """One row for the references of the data, one for the best hypotheses of each corpus.

    Memory holds the different words, pairs of neighbouring words and pairs of linked words of one
    text. ``of`` makes the task of another data folder.

    Raises:
        InputError: a corpus is not whole, or not of the data; an alignment is not of its text.
    """
    pairs = read_subset(task, task.cfg.data, subset)
    references = Targets(pairs, wanted.subwords)
    texts: list[_Text] = [_Gold(pairs, wanted.subwords)]
    for corpus in corpora:
        shards = require_corpus_of(task, pairs, corpus, subset_name(task, subset))
        texts.append(_Corpus(corpus, shards, pairs, wanted.subwords))
    if wanted.alignments and len(wanted.alignments) != len(texts):
        raise InputError(
            f"--alignments is given {len(wanted.alignments)} times and there are {len(texts)} "
            "texts; give a file for the references and one for each corpus, in order"
        )
    rows = []
    for number, text in enumerate(texts):
        counted: list[Counted] = [_Words()]
        if number:
            metrics = (SentenceBleu("exp", wanted.tokenize), SentenceChrf())
            counted.append(_Nbest(metrics, references))
        links = _links(text, number, len(pairs), wanted)
        counted += [Aligned(links)] if links else []
        counted += [Hallucinations()] if wanted.hallucinations else []
        rows.append({"text": text.name, **_told(text, counted, len(pairs))})
        if links:
            links.close(len(pairs))
    if wanted.prefixes and isinstance(texts[-1], _Corpus):
        asked = Asked(pairs, texts[-1].shards, wanted.subwords)
        rows[-1] |= extracted(asked, of, *wanted.prefixes)
    return rows


def prefixes_of(task: Any, corpus: Path, subset: str, subwords: str, output: Path) -> str:
    """Write the prefixes of what a corpus replicates; returns a line of what there is."""
    pairs = read_subset(task, task.cfg.data, subset)
    shards = require_corpus_of(task, pairs, corpus, subset_name(task, subset))
    counts = write_prefixes(task, Asked(pairs, shards, subwords), output, subset)
    if not counts["sentences"]:
        return f"no translation of {FEWEST} words or more equals its target: nothing to ask again"
    return f"{output}: " + ", ".join(f"{key} {value}" for key, value in counts.items())


def _told(text: _Text, counted: Sequence[Counted], sentences: int) -> Row:
    progress = Progress(sentences)
    for row, source, texts in text:
        if texts:
            for one in counted:
                one.add(row, source, texts)
        progress.add(1)
    progress.close()
    return {key: value for one in counted for key, value in one.row().items()}


def _links(text: _Text, number: int, sentences: int, wanted: Wanted) -> Pharaoh | None:
    if wanted.alignments:
        return Pharaoh(wanted.alignments[number], "--alignments")
    if wanted.align:
        pairs = ((row, source, texts[0]) for row, source, texts in text if texts)
        return Pharaoh(align(pairs, sentences, wanted.align), "--align")
    return None


class _Text(Protocol):
    """Sentences in order: the row, its source, and its translations, best first; read as often
    as you like."""

    name: str

    def __iter__(self) -> Iterator[tuple[int, str, Sequence[str]]]: ...


class _Gold:
    def __init__(self, pairs: Any, subwords: str):
        self.name = "references"
        self._sides = Sources(pairs, subwords), Targets(pairs, subwords)
        self._rows = len(pairs)

    def __iter__(self) -> Iterator[tuple[int, str, Sequence[str]]]:
        for row in range(self._rows):
            yield row, self._sides[0][row], (self._sides[1][row],)


class _Corpus:
    def __init__(self, folder: Path, shards: Shards, pairs: Any, subwords: str):
        self.name, self.shards = str(folder), shards
        self._sources, self._subwords = Sources(pairs, subwords), subwords

    def __iter__(self) -> Iterator[tuple[int, str, Sequence[str]]]:
        for record in read_corpus(self.shards):
            texts = [joined(one["text"], self._subwords) for one in record["hypotheses"]]
            yield record["id"], self._sources[record["id"]], texts


class _Words:
    """Words, pairs of neighbouring words, lengths and copies."""

    def __init__(self) -> None:
        self.ngrams: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
        self.sentences = self.of_source = self.copies = 0

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        words = texts[0].split()
        self.ngrams[0].update(words)
        self.ngrams[1].update(itertools.pairwise(words))
        self.sentences += 1
        self.of_source += len(source.split())
        self.copies += source == texts[0]

    def row(self) -> Row:
        words = self.ngrams[0].total()
        entropies = [_entropy(found.values()) for found in self.ngrams]
        return {
            "sentences": self.sentences,
            "words": words,
            "types": len(self.ngrams[0]),
            "entropy_1": entropies[0],
            "entropy_2": entropies[1],
            "conditional": entropies[1] - entropies[0],
            "length_ratio": words / max(self.of_source, 1),
            "copies": self.copies / max(self.sentences, 1),
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

    def add(self, row: int, source: str, texts: Sequence[str]) -> None:
        reference = self.references[row]
        for metric in self.metrics:
            counts = metric.counts(texts, [reference])[:, 0]
            likest = int(np.argmax(metric.scores(counts).round(9)))
            for name, place in ((metric.name, 0), (f"oracle_{metric.name}", likest)):
                self.sums[name] = self.sums.get(name, 0) + counts[place]
        self.sentences += 1
        self.identical += texts[0] == reference

    def row(self) -> Row:
        told: Row = {"identical": self.identical / max(self.sentences, 1)}
        for metric in self.metrics:
            for name in (metric.name, f"oracle_{metric.name}"):
                if name in self.sums:
                    told[name] = metric.corpus(self.sums[name].tolist())
        return told
