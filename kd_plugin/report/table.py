"""A comparison as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .comparison import LEAST_SEEDS, LEVEL, RESAMPLES, Score, System
from .scores import METRICS


def markdown(
    systems: Sequence[System],
    origlang: Sequence[str],
    baseline: str | None,
    signatures: Mapping[str, str],
    shuffles: int,
    seed: int,
) -> str:
    """The table of all sentences, one for each original language, remarks and signatures."""
    blocks = [table([(system, system.scores) for system in systems], baseline)]
    for language, count in sorted(Counter(origlang).items()):
        if language:
            rows = [(system, system.by_origlang[language]) for system in systems]
            blocks.append(f"Original language {language}, {count} of {len(origlang)} sentences:")
            blocks.append(table(rows, baseline))
    blocks += remarks(systems, baseline, shuffles, seed)
    blocks.append("\n".join(f"    {metric}|{text}" for metric, text in signatures.items()))
    return "\n\n".join(blocks)


def table(rows: Sequence[tuple[System, Mapping[str, Score]]], baseline: str | None) -> str:
    columns = ["system", "n", *METRICS]
    columns += [f"{metric} vs {baseline}" for metric in METRICS] if baseline else []
    lines = []
    for system, scores in rows:
        cells = [system.name, str(system.n), *(value(score) for score in scores.values())]
        cells += [difference(score) for score in scores.values()] if baseline else []
        lines.append(cells)
    return grid(columns, lines)


def grid(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table: names on the left, numbers on the right."""
    ruler = ["---"] + ["---:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, ruler, *lines))


def value(score: Score) -> str:
    text = f"{score.mean:.2f}"
    if score.sd is not None:
        text += f" ± {score.sd:.2f}"
    if score.interval and len(score.runs) < LEAST_SEEDS:
        text += " [{:.2f}, {:.2f}]".format(*score.interval)
    return text


def rounded(number: float, form: str = ".2f") -> str:
    """A number as text, without the sign of what is rounded to zero."""
    return format(round(number, 2) + 0.0, form)


def difference(score: Score) -> str:
    if score.difference is None:
        return ""
    return rounded(score.difference, "+.2f") + (" *" if score.significant else "")


def remarks(systems: Sequence[System], baseline: str | None, shuffles: int, seed: int) -> list[str]:
    """What the numbers mean, and what they do not: a line for each thing that occurs."""
    lines = []
    tested = sum(system.scores[METRICS[0]].p is not None for system in systems)
    if tested:
        lines.append(
            f"*: differs from {baseline}, p < {LEVEL} after Holm's correction over {tested} "
            f"row{'s' * (tested > 1)}; two-sided approximate randomisation stratified over seeds "
            f"(Clark et al. 2011), {shuffles:,} shuffles, seed {seed}, on all sentences."
        )
    ones = [system.name for system in systems if system.n == 1]
    twos = [system.name for system in systems if system.n == 2]
    if ones:
        lines.append(f"{', '.join(ones)}: one run, and another seed gives other scores.")
    if twos:
        lines.append(f"{', '.join(twos)}: two runs, too few for a test.")
    if ones or twos:
        lines.append(
            f"[ ]: 95 % bootstrap interval over sentences, {RESAMPLES:,} resamples, seed {seed}; "
            "it covers other sentences, not other seeds. "
            f"Differences are tested from {LEAST_SEEDS} seeds of both systems."
        )
    return lines
