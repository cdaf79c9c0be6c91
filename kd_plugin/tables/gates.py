"""Gates: what must hold before a table's rows are worth their time.

A student that has not converged, a teacher that is hardly better, or one that has memorised the
text that it is asked about, decides a comparison before it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files.schema import read_json
from ..report.lines import read_lines, read_translations
from ..report.scores import Measure

CLOSED = "gate closed"  # begins what is said of a table whose rows are not run
OPEN = "gate open"
WAYS = {
    "converged": "let students train longer",
    "teacher": "make the student smaller, or train the teacher longer",
    "memorised": "let it write about text that it never saw: folds: 2",
}
QUALITY = {"all": {"teacher": {"accuracy": float}}}


@dataclass(frozen=True)
class Gate:
    """One condition, as it was found."""

    name: str
    found: float
    bound: float
    holds: bool
    told: str


@dataclass(frozen=True)
class Found:
    """BLEU of translations, and the teacher's accuracy in percent; None: not asked."""

    baseline: float
    teacher: float | None = None
    doubled: float | None = None  # the baseline with twice the updates
    train: float | None = None
    valid: float | None = None


@dataclass(frozen=True)
class Files:
    """Translations of one test set, and what ``fairseq-kd agreement`` says of the teacher."""

    references: Path
    baseline: Path
    teacher: Path | None = None
    doubled: Path | None = None  # the baseline with twice the updates
    train: Path | None = None  # agreement on the training set
    valid: Path | None = None


def measured(files: Files) -> Found:
    """What files say.

    Raises:
        InputError: a file cannot be read.
    """
    references = read_lines(str(files.references), "--references")
    measure = Measure([references])

    def bleu(path: Path, flag: str) -> float:
        lines = read_translations(str(path), flag, references)
        return float(measure.score(measure.counts(lines).sum(0))[0])

    return Found(
        bleu(files.baseline, "--baseline"),
        bleu(files.teacher, "--teacher") if files.teacher else None,
        bleu(files.doubled, "--doubled") if files.doubled else None,
        _accuracy(files.train) if files.train else None,
        _accuracy(files.valid) if files.valid else None,
    )


def gates(found: Found, gain: float, above: float, within: float) -> Iterator[Gate]:
    """The gates for which there are numbers.

    Args:
        found: the numbers.
        gain: BLEU; twice the updates must give the baseline less.
        above: BLEU; so far the teacher must be above the baseline.
        within: points; so much the teacher's accuracy on its training set may be above the valid
            set's, at most.
    """
    base = found.baseline
    if found.doubled is not None:
        more = found.doubled - base
        told = f"twice the updates give the baseline ({base:.2f}) {more:+.2f} BLEU"
        yield Gate("converged", more, gain, more < gain, f"{told}, wanted: less than {gain:g}")
    if found.teacher is not None:
        more = found.teacher - base
        told = f"the teacher is {more:+.2f} BLEU above the baseline ({base:.2f})"
        yield Gate("teacher", more, above, more >= above, f"{told}, wanted: at least {above:g}")
    if found.train is not None and found.valid is not None:
        train, valid = found.train, found.valid
        told = f"the teacher is right at {train:.1f} % of the training set's tokens and at "
        told += f"{valid:.1f} % of the valid set's, wanted: at most {within:g} points more"
        yield Gate("memorised", train - valid, within, train - valid <= within, told)


def _accuracy(path: Path) -> float:
    told: Mapping[str, Any] = read_json(path, QUALITY, "run fairseq-kd agreement again")
    return 100 * float(told["all"]["teacher"]["accuracy"])


def summary(found: list[Gate]) -> str:
    """In a line: those that do not hold, each with a way out, and the others."""
    closed = [f"{gate.told} ({WAYS[gate.name]})" for gate in found if not gate.holds]
    rest = [gate.told for gate in found if gate.holds]
    parts = ((CLOSED, closed), (OPEN, rest))
    return ". ".join(f"{what}: {'; '.join(told)}" for what, told in parts if told)


def everything(found: list[Gate]) -> dict[str, Any]:
    """As JSON."""
    return {"gates": [asdict(gate) for gate in found]}
