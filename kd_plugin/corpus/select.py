"""Which of a sentence's hypotheses a student is taught; see ``fairseq-kd select --help``."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.subset import fingerprint
from ..errors import InputError
from ..files.blocks import read_manifest
from ..files.shards import shard_path
from .derived import BLOCK_SIZE, SUM, Counts, Made, derive, length_penalty
from .origin import origin_of
from .records import ENDING, Record, corpus_name, find_corpus, length_power
from .references import Lines, Targets, require_sources, sha256_of
from .similarity import Metric, SentenceBleu, SentenceChrf
from .text import joined

DIGITS = 9  # after the point; scores that differ by less are equal on every machine
TOLD = ("chosen", "best", "oracle", "anti_oracle")  # texts that are scored against the references

Scorer = Callable[["Sentence"], Sequence[float]]


@dataclass
class Sentence:
    """What scorers see of one sentence."""

    row: int
    hypotheses: list[Record]  # of all inputs, best first
    texts: list[str]  # of them, as words
    numbers: Sequence[float] | None  # of --scores
    lenpen: float  # by which power of its length each log-probability was divided
    quality: list[float] | None = None  # the metric against the reference


def by_model(sentence: Sentence) -> list[float]:
    """The search's own scores; a score that is not finite is the worst."""
    scores = (hypothesis.get("score") for hypothesis in sentence.hypotheses)
    return [-math.inf if score is None else float(score) for score in scores]


def by_numbers(sentence: Sentence) -> Sequence[float]:
    """Those of a file."""
    return sentence.numbers or []


def by_reference(sentence: Sentence) -> Sequence[float]:
    """The metric against the reference: Kim & Rush's Seq-Inter."""
    return sentence.quality or []


class Expected:
    """MBR: the mean metric against all of the sentence's hypotheses, itself among them."""

    def __init__(self, metric: Metric):
        self.metric = metric

    def __call__(self, sentence: Sentence) -> list[float]:
        kinds = list(dict.fromkeys(sentence.texts))  # samples repeat themselves
        weights = np.array([sentence.texts.count(text) for text in kinds])
        scores = self.metric.scores(self.metric.counts(kinds, kinds)) @ weights
        expected = dict(zip(kinds, (scores / len(sentence.texts)).tolist()))
        return [round(expected[text], DIGITS) for text in sentence.texts]


class Sampled:
    """Draws without replacement by model probability: log-probability plus Gumbel noise, sorted.

    The noise is of the seed and the sentence's number alone.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, sentence: Sentence) -> list[float]:
        generator = random.Random(f"{self.seed}:{sentence.row}")
        return [
            log_p * length_power(hypothesis, sentence.lenpen)
            - math.log(-math.log(_inside(generator)))
            for log_p, hypothesis in zip(by_model(sentence), sentence.hypotheses)
        ]


def _inside(generator: random.Random) -> float:
    """A number of (0, 1)."""
    return generator.random() or 0.5


class Select:
    """Scores a sentence's hypotheses and keeps the best, in order of choice.

    Ties go to the higher model score, then to the earlier hypothesis.
    """

    def __init__(
        self,
        scorer: Scorer,
        copies: Sequence[int],
        metric: Metric | None,
        references: Any,
        subwords: str,
        lenpens: Sequence[float],
    ):
        """Prepare.

        Args:
            scorer: of hypotheses.
            copies: how often each chosen rank is kept, first rank first.
            metric: of ``references``, and of the report.
            references: text of each sentence by its number; None where the feed has it, or none.
            subwords: what cut the words.
            lenpens: the length penalty of each input; that of the first becomes all hypotheses'.
        """
        self.scorer, self.copies, self.metric = scorer, copies, metric
        self.references, self.subwords, self.lenpens = references, subwords, lenpens
        self.reads_texts = isinstance(scorer, Expected)

    def __call__(self, records: list[Record], extra: Any) -> tuple[Record, Counts]:
        """See :class:`.derived.Step`; ``extra`` is a reference and numbers, each or None."""
        row = records[0]["id"]
        line, numbers = extra or (None, None)
        reference = self.references[row] if self.references is not None else line
        lenpen = self.lenpens[0]
        hypotheses = [
            hypothesis if theirs == lenpen else _divided(hypothesis, lenpen - theirs)
            for record, theirs in zip(records, self.lenpens)
            for hypothesis in record["hypotheses"]
        ]
        if not hypotheses:
            return records[0], {"undecoded": 1}
        compared = self.metric is not None and (reference is not None or self.reads_texts)
        texts = [joined(one["text"], self.subwords) for one in hypotheses] if compared else []
        sentence = Sentence(row, hypotheses, texts, numbers, lenpen)
        model = by_model(sentence)
        counts = None
        if self.metric is not None and reference is not None:
            counts = self.metric.counts(texts, [reference])[:, 0]
            scores = self.metric.scores(counts).tolist()
            sentence.quality = [round(score, DIGITS) for score in scores]
        order = _ranked(self.scorer(sentence), model)
        chosen = order[: len(self.copies)]
        told: dict[str, Any] = {
            "selected": 1,
            "chosen": len(chosen),
            f"{SUM}first.{chosen[0] + 1}": 1,
        }
        told |= {f"{SUM}rank.{place + 1}": 1 for place in chosen}
        if counts is not None and sentence.quality is not None:
            by_quality = _ranked(sentence.quality, model)
            places = (chosen[0], _ranked(model, model)[0], by_quality[0], by_quality[-1])
            told |= {f"{SUM}{name}": counts[place] for name, place in zip(TOLD, places)}
        kept = [hypotheses[i] for i, times in zip(chosen, self.copies) for _ in range(times)]
        return {"id": row, "hypotheses": kept}, told

    def report(self, counts: Counts) -> dict[str, Any]:
        """Histogram of the ranks that were chosen; corpus scores where there are references."""
        ranks = _numbered(counts, f"{SUM}rank.")
        first = _numbered(counts, f"{SUM}first.")
        told: dict[str, Any] = {"first_choices": first, "choices": ranks}
        if self.metric is not None and f"{SUM}chosen" in counts:
            scores = {name: self.metric.corpus(counts[f"{SUM}{name}"].tolist()) for name in TOLD}
            told |= {"metric": self.metric.name, **scores}
        return told


def _divided(hypothesis: Record, power: float) -> Record:
    """With its score divided by this power of its length."""
    score = hypothesis.get("score")
    if score is None:
        return hypothesis
    return {**hypothesis, "score": score / length_power(hypothesis, power)}


def _ranked(scores: Sequence[float], model: Sequence[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: (-scores[i], -model[i], i))


def _numbered(counts: Counts, prefix: str) -> dict[str, int]:
    found = {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix)}
    return {key: found[key] for key in sorted(found, key=int)}


@dataclass
class Choice:
    """What ``fairseq-kd select`` was asked for."""

    by: str
    copies: Sequence[int]  # of each rank that is kept
    metric: str
    smoothing: str
    tokenize: str
    subwords: str
    seed: int
    scores: Path | None
    references: Path | None
    data: str | None  # whose ``pairs`` have the references
    pairs: Any = None

    def flags(self) -> dict[str, Any]:
        """Those that matter, for the manifest."""
        told: dict[str, Any] = {"by": self.by}
        if set(self.copies) == {1}:
            told["n"] = len(self.copies)
        else:
            told["copies"] = ",".join(map(str, self.copies))
        if self.by in ("reference", "mbr") or self.references or self.data:
            told["metric"] = self.metric
            if self.metric == "bleu":
                told |= {"smoothing": self.smoothing, "tokenize": self.tokenize}
        if self.by == "sample":
            told["seed"] = self.seed
        return {**told, "subwords": self.subwords}

    def reads(self) -> dict[str, str]:
        """The hashes of what is read beside the corpora."""
        files = {"scores": self.scores, "references": self.references}
        told = {key: sha256_of(path, f"--{key}") for key, path in files.items() if path}
        if self.pairs is not None:
            told["data"] = fingerprint(self.pairs.tgt, self.pairs.tgt_sizes)
        return told

    def names(self) -> dict[str, str]:
        """What these were called."""
        files = {"scores": self.scores, "references": self.references, "data": self.data}
        return {key: str(path) for key, path in files.items() if path}

    def scorer(self, metric: Metric) -> Scorer:
        """What orders the hypotheses."""
        if self.by == "mbr":
            return Expected(metric)
        if self.by == "sample":
            return Sampled(self.seed)
        return {"model": by_model, "reference": by_reference, "scores": by_numbers}[self.by]


def select(
    corpora: Sequence[Path],
    output: Path,
    subset: str,
    languages: tuple[str | None, str | None],
    choice: Choice,
    workers: int = 1,
    block_size: int = BLOCK_SIZE,
) -> tuple[str, dict[str, Any]]:
    """Write the corpus of the chosen hypotheses, or go on with it.

    Args:
        corpora: folders whose hypotheses are pooled.
        output: folder of the new corpus.
        subset: which part of it.
        languages: source and target; None where the corpora hold one pair only.
        choice: what is chosen.
        workers: processes.
        block_size: sentences.

    Returns:
        The file and what it holds in a line; the report.

    Raises:
        InputError: a corpus is not whole, or what is read beside it is not of its sentences.
    """
    name = corpus_name(corpora[0], subset, *languages)
    inputs = [find_corpus(folder, name) for folder in corpora]
    settings = [shards[0][1]["settings"] for shards in inputs]
    references = data = None
    if choice.pairs is not None:
        data = origin_of(Path(str(choice.data)), [choice.pairs])
        require_sources(choice.pairs, settings[0], corpora[0], f"--data {choice.data}")
        references = Targets(choice.pairs, choice.subwords)
    made = Made("select", choice.flags(), choice.reads(), choice.names(), {}, block_size, data)
    metric: Metric = (
        SentenceChrf()
        if choice.metric == "chrf"
        else SentenceBleu(choice.smoothing, choice.tokenize)
    )
    lenpens = [length_penalty(one) for one in settings]
    step = Select(
        choice.scorer(metric), choice.copies, metric, references, choice.subwords, lenpens
    )
    beside = Beside(
        Lines(choice.references, "--references") if choice.references else None,
        Lines(choice.scores, "--scores", "hypotheses") if choice.scores else None,
    )
    told = derive(inputs, output, name, made, step, beside, workers, step.report)
    manifest = read_manifest(shard_path(output, name, 0, 1, ENDING)) or {}
    return told, manifest.get("report", {})


class Beside:
    """The lines of references and of scores that stand beside a corpus; a :class:`.derived.Feed`.

    A file of scores has a number a line, one for each hypothesis of each sentence in order.
    """

    def __init__(self, references: Lines | None, scores: Lines | None):
        self.references, self.scores = references, scores

    def of(self, lines: Sequence[bytes]) -> tuple[str | None, list[float] | None]:
        """The sentence's reference and its hypotheses' scores."""
        reference = self.references.of() if self.references else None
        if self.scores is None:
            return reference, None
        count = sum(_hypotheses(line) for line in lines)
        return reference, [self._number(self.scores) for _ in range(count)]

    def _number(self, scores: Lines) -> float:
        line = scores.of()
        try:
            number = float(line)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            raise InputError(
                f"{scores.flag} {scores.path} has {line[:40]!r} where a number belongs; give one "
                "number a line for each hypothesis"
            )
        return number

    def close(self) -> None:
        """Refuse what is left."""
        for lines in filter(None, (self.references, self.scores)):
            lines.close()


def _hypotheses(line: bytes) -> int:
    try:
        return len(json.loads(line)["hypotheses"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0  # no record, which whoever reads it will say


def summary(report: Mapping[str, Any]) -> str:
    """The report in a line."""
    if "metric" not in report:
        return f"first choices by rank: {_briefly(report['first_choices'])}"
    scores = ", ".join(f"{name.replace('_', '-')} {report[name]:.2f}" for name in TOLD)
    return f"{report['metric']}: {scores}; first choices by rank: " + _briefly(
        report["first_choices"]
    )


def _briefly(ranks: Mapping[str, int], most: int = 8) -> str:
    rest = sum(list(ranks.values())[most:])
    shown = [f"{rank}: {count}" for rank, count in list(ranks.items())[:most]]
    return ", ".join([*shown, f"later: {rest}"] if rest else shown)
