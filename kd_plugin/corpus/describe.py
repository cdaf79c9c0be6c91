"""What a teacher's text is like, beside the gold: see ``fairseq-kd describe --help``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.subset import read_sides
from ..errors import InputError
from ..files.progress import Progress
from ..files.shards import subset_name
from .aligner import align
from .binarise import require_corpus_of
from .counted import Counted, Nbest, Row, Words
from .links import Aligned, Pharaoh
from .memorised import Hallucinations
from .prefixes import FEWEST, Asked, extracted, write_prefixes
from .references import Targets
from .similarity import SentenceBleu, SentenceChrf
from .texts import Corpus, Gold, Sentence, Text, sentences
from .workers import in_order


@dataclass(frozen=True)
class Wanted:
    """What is told beside the counts of words."""

    subwords: str = "sentencepiece"
    tokenize: str = "13a"  # of BLEU
    alignments: Sequence[Path] = ()  # a file of links for each text
    align: Path | None = None  # the folder of eflomal's links
    hallucinations: bool = False
    prefixes: tuple[Path, Path] | None = None  # of extractive memorisation: data folder, corpus


def describe(
    task: Any, corpora: Sequence[Path], subset: str, wanted: Wanted, of: Callable[[str], Any],
    workers: int = 1,
) -> list[Row]:  # fmt: skip
    """One row for the references of the data, one for the best hypotheses of each corpus.

    Memory holds the different words, pairs of neighbouring words and pairs of linked words of one
    text. ``of`` makes the task of another data folder. The rows do not depend on ``workers``, the
    processes that compare hypotheses with references.

    Raises:
        InputError: a corpus is not whole, or not of the data; an alignment is not of its text.
    """
    pairs = read_sides(task, task.cfg.data, subset)
    references = Targets(pairs, wanted.subwords)
    texts: list[Text] = [Gold(pairs, wanted.subwords)]
    for corpus in corpora:
        shards = require_corpus_of(task, pairs, corpus, subset_name(task, subset))
        texts.append(Corpus(corpus, shards, pairs, wanted.subwords))
    if wanted.alignments and len(wanted.alignments) != len(texts):
        raise InputError(
            f"--alignments is given {len(wanted.alignments)} times and there are {len(texts)} "
            "texts; give a file for the references and one for each corpus, in order"
        )
    rows = []
    for number, text in enumerate(texts):
        counted: list[Counted] = [Words()]
        metrics = (SentenceBleu("exp", wanted.tokenize), SentenceChrf())
        nbest = Nbest(metrics, references) if number else None
        links = _links(text, number, len(pairs), wanted)
        counted += [Aligned(links)] if links else []
        counted += [Hallucinations()] if wanted.hallucinations else []
        rows.append({"text": text.name, **_told(text, counted, nbest, len(pairs), workers)})
        if links:
            links.close(len(pairs))
    if wanted.prefixes and isinstance(texts[-1], Corpus):
        asked = Asked(pairs, texts[-1].shards, wanted.subwords)
        rows[-1] |= extracted(asked, of, *wanted.prefixes)
    return rows


def prefixes_of(task: Any, corpus: Path, subset: str, subwords: str, output: Path) -> str:
    """Write the prefixes of what a corpus replicates; returns a line of what there is."""
    pairs = read_sides(task, task.cfg.data, subset)
    shards = require_corpus_of(task, pairs, corpus, subset_name(task, subset))
    counts = write_prefixes(task, Asked(pairs, shards, subwords), output, subset)
    if not counts["sentences"]:
        return f"no translation of {FEWEST} words or more equals its target: nothing to ask again"
    return f"{output}: " + ", ".join(f"{key} {value}" for key, value in counts.items())


def _told(
    text: Text, counted: Sequence[Counted], nbest: Nbest | None, rows: int, workers: int
) -> Row:
    """Hypotheses are read and compared in all processes; the best are counted here, in order."""

    def look(block: Any) -> tuple[list[Sentence], dict[str, Any] | None, int]:
        found = list(text.read(block))
        some = [sentence for sentence in found if sentence[2]]
        best = [(row, source, texts[:1]) for row, source, texts in some]
        if nbest is None:
            return best, None, len(found)
        own = Nbest(nbest.metrics, nbest.references)
        for sentence in some:
            own.add(*sentence)
        return best, own.state(), len(found)

    progress = Progress(rows)
    with in_order(look, workers if nbest else 1) as mapped:
        for best, state, count in mapped(text.blocks()):
            for sentence in best:
                for one in counted:
                    one.add(*sentence)
            if nbest and state:
                nbest.join(state)
            progress.add(count)
    progress.close()
    every = [*counted[:1], *([nbest] if nbest else []), *counted[1:]]
    return {key: value for one in every for key, value in one.row().items()}


def _links(text: Text, number: int, rows: int, wanted: Wanted) -> Pharaoh | None:
    if wanted.alignments:
        return Pharaoh(wanted.alignments[number], "--alignments")
    if wanted.align:
        pairs = ((row, source, texts[0]) for row, source, texts in sentences(text))
        return Pharaoh(align(pairs, rows, wanted.align), "--align")
    return None
