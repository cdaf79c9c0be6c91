"""Say whether the toy shows what it should: ``python scripts/verdict.py table.csv``.

Distillation must pay: the teacher above seq-KD, seq-KD above no distillation, word-KD above none,
each by more than twice the standard error that the seeds give the difference of two means (in BLEU
points, of the table's first way to decode). The corpus has many correct translations of one source;
nothing of it holds for real text.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

ORDER = (("teacher", "seq_kd"), ("seq_kd", "none"), ("word_kd", "none"))
Row = dict[str, str]  # of a table of fairseq-kd report


def standard_error(first: Row, second: Row) -> float:
    """Of the difference of two rows' means; a single run is taken to vary as the other does."""
    known = [float(row["sd"]) for row in (first, second) if row["sd"]] or [math.inf]
    variances = [float(row["sd"] or known[0]) ** 2 for row in (first, second)]
    return math.sqrt(sum(v / int(row["runs"]) for v, row in zip(variances, (first, second))))


def main(path: str) -> int:
    """Print a line for each difference; 0 where all are reached with three seeds, else 1."""
    lines = csv.DictReader(Path(path).read_text().splitlines())
    rows: dict[str, Row] = {}
    for line in lines:
        if line["metric"] == "BLEU":
            rows.setdefault(line["row"], line)
    fewest = min(int(rows[name]["runs"]) for name in ("none", "word_kd", "seq_kd"))
    reached = fewest >= 3
    for above, below in ORDER:
        first, second = rows[above], rows[below]
        difference = float(first["mean"]) - float(second["mean"])
        margin = 2 * standard_error(first, second)
        good = difference > margin
        reached &= good
        sign = "> " if good else "<="
        print(f"{above} - {below} = {difference:+.2f} {sign} {margin:.2f} BLEU, two errors")
    few = f" ({fewest} seeds are too few)" if fewest < 3 else ""
    print(f"verdict: {'as it should be' if reached else 'not reached'}{few}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
