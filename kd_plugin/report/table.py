"""A comparison as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from .comparison import LEAST_SEEDS, LEVEL, RESAMPLES, Score, System
from .metrics import Metrics


def markdown(
    systems: Sequence[System],
    origlang: Sequence[str],
    baseline: str | None,
    metrics: Metrics,
    signatures: Mapping[str, str],
    shuffles: int,
    seed: int,
) -> str:
    """The table of all sentences, one for each original language, remarks and signatures."""
    blocks = [table([(system, system.scores) for system in systems], baseline, metrics)]
    for language, count in sorted(Counter(origlang).items()):
        if language:
            rows = [(system, system.by_origlang[language]) for system in systems]
            blocks.append(f"Original language {language}, {count} of {len(origlang)} sentences:")
            blocks.append(table(rows, baseline, metrics))
    blocks += by_seed(systems, baseline, seed)
    blocks += remarks(systems, baseline, metrics, shuffles, seed)
    blocks.append("\n".join(f"    {metric}|{text}" for metric, text in signatures.items()))
    return "\n\n".join(blocks)


def table(
    rows: Sequence[tuple[System, Mapping[str, Score]]], baseline: str | None, metrics: Metrics
) -> str:
    down = [f"{name} ↓" if name in metrics.lower_is_better else name for name in metrics.names]
    columns = ["system", "n", *down]
    if baseline:
        columns += [*(f"{metric} vs {baseline}" for metric in metrics.names), "accuracy"]
    columns.append("length")
    digits = {name: digits_of(name, rows) for name in metrics.names}
    lines = []
    for system, scores in rows:
        cells = [system.name, str(system.n)]
        cells += [value(score, digits[name]) for name, score in scores.items()]
        if baseline:
            cells += [difference(score, digits[name]) for name, score in scores.items()]
            cells.append(accuracies(scores))
        cells.append(length(scores))
        lines.append(cells)
    return grid(columns, lines)


def digits_of(metric: str, rows: Sequence[tuple[System, Mapping[str, Score]]]) -> int:
    """After the point: two for metrics in points, four for those from 0 to 1, as COMET."""
    return 4 if all(abs(scores[metric].mean) <= 2 for _, scores in rows) else 2


def accuracies(scores: Mapping[str, Score]) -> str:
    """The delta accuracies of the metrics that have one."""
    known = [score.accuracy for score in scores.values() if score.accuracy is not None]
    return " / ".join(f"{accuracy:.0f} %" for accuracy in known)


def length(scores: Mapping[str, Score]) -> str:
    """Of the translations over the references."""
    return "".join(rounded(score.length) for score in scores.values() if score.length is not None)


def grid(
    columns: Sequence[str], lines: Sequence[Sequence[str]], words: Collection[str] = ()
) -> str:
    """A Markdown table: names on the left, numbers on the right; ``words``: columns on the left."""
    ruler = ["---", *("---" if name in words else "---:" for name in columns[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, ruler, *lines))


def value(score: Score, digits: int = 2) -> str:
    text = rounded(score.mean, digits)
    if score.sd is not None:
        text += f" ± {rounded(score.sd, digits)}"
    if score.interval and len(score.runs) < LEAST_SEEDS:
        text += interval(score.interval, digits)
    return text


def interval(bounds: Sequence[float], digits: int) -> str:
    low, high = (rounded(bound, digits) for bound in bounds)
    return f" [{low}, {high}]"


def rounded(number: float, digits: int = 2, sign: str = "") -> str:
    """A number as text, without the sign of what is rounded to zero."""
    return format(round(number, digits) + 0.0, f"{sign}.{digits}f")


def difference(score: Score, digits: int = 2) -> str:
    if score.difference is None:
        return ""
    return rounded(score.difference, digits, "+") + (" *" if score.significant else "")


def by_seed(systems: Sequence[System], baseline: str | None, seed: int) -> list[str]:
    """The table of differences between runs of one seed, and what it means."""
    lines = seed_lines(systems)
    if not lines:
        return []
    return [
        f"Differences to {baseline} by seed:",
        grid(SEED_COLUMNS, lines),
        seed_remark(systems, seed),
    ]


SEED_COLUMNS = ("system", "metric", "by seed", "mean", "95 % interval", "p", "least p")


def seed_lines(systems: Sequence[System]) -> list[list[str]]:
    """The cells of that table; none where runs are not paired."""
    lines, rows = [], [(system, system.scores) for system in systems]
    for system in systems:
        for metric, score in system.scores.items():
            pairs, digits = score.paired, digits_of(metric, rows)
            if pairs is None:
                continue
            each = ", ".join(rounded(one, digits, "+") for one in pairs.differences)
            low, high = (rounded(bound, digits, "+") for bound in pairs.interval)
            cells = [system.name, metric, each, rounded(pairs.mean, digits, "+")]
            lines.append([*cells, f"{low} to {high}", f"{pairs.p:.3f}", f"{pairs.least_p:.3f}"])
    return lines


def seed_remark(systems: Sequence[System], seed: int) -> str:
    """What that table means."""
    pairs = [score.paired for system in systems for score in system.scores.values()]
    n = max((len(pair.differences) for pair in pairs if pair), default=0)
    return (
        f"Interval: hierarchical bootstrap over seeds and sentences, {RESAMPLES:,} resamples, seed "
        f"{seed}; with few seeds it is too narrow. p: two-sided sign-flip test over the seeds, not "
        f"corrected; with {n} pairs it is never below the least p."
    )


def remarks(
    systems: Sequence[System], baseline: str | None, metrics: Metrics, shuffles: int, seed: int
) -> list[str]:
    """What the numbers mean, and what they do not: a line for each thing that occurs."""
    lines = [
        "length: the translations' tokens for one of the references', as BLEU counts them; below 1 "
        "it lowers BLEU (brevity penalty)."
    ]
    first = metrics.names[0]
    tested = sum(system.scores[first].p is not None for system in systems)
    known = {n: s for system in systems for n, s in system.scores.items() if s.accuracy is not None}
    if known:
        lines.append(
            f"accuracy: how often people agree with such a difference of {' / '.join(known)}, "
            "a coin being 50 % (Kocmi et al. 2024)."
        )
    if tested:
        lines.append(
            f"*: differs from {baseline}, p < {LEVEL} after Holm's correction over {tested} "
            f"row{'s' * (tested > 1)}; two-sided approximate randomisation stratified over seeds "
            f"(Clark et al. 2011), {shuffles:,} shuffles, seed {seed}, on all sentences."
        )
    ones = [system.name for system in systems if system.n == 1]
    twos = [system.name for system in systems if system.n == 2]
    if ones:
        lines.append(f"{'; '.join(ones)}: one run, and another seed gives other scores.")
    if twos:
        lines.append(f"{'; '.join(twos)}: two runs, too few for a test.")
    if ones or twos:
        lines.append(
            f"[ ]: 95 % bootstrap interval over sentences, {RESAMPLES:,} resamples, seed {seed}; "
            "it covers other sentences, not other seeds. "
            f"Differences are tested from {LEAST_SEEDS} seeds of both systems."
        )
    return lines
