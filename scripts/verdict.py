"""Say whether the toy shows what it should: ``python scripts/verdict.py scores.json``.

Distillation must pay: the teacher above seq-KD, seq-KD above no distillation, word-KD above none,
each by more than twice the standard error that the seeds give the difference of two means (in BLEU
points). The corpus has many correct translations of one source; nothing of it holds for real text.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

ORDER = (("teacher", "seq_kd"), ("seq_kd", "none"), ("word_kd", "none"))


def standard_error(first: Any, second: Any) -> float:
    """Of the difference of two systems' means; a single run is taken to vary as the other does."""
    deviations = [system["scores"]["BLEU"].get("sd") for system in (first, second)]
    known = [sd for sd in deviations if sd is not None] or [math.inf]
    variances = [(known[0] if sd is None else sd) ** 2 for sd in deviations]
    return math.sqrt(sum(v / system["n"] for v, system in zip(variances, (first, second))))


def main(path: str) -> int:
    """Print a line for each difference; 0 where all are reached with three seeds, else 1."""
    systems = {system["name"]: system for system in json.loads(Path(path).read_text())["systems"]}
    fewest = min(systems[name]["n"] for name in ("none", "word_kd", "seq_kd"))
    reached = fewest >= 3
    for above, below in ORDER:
        first, second = systems[above], systems[below]
        difference = first["scores"]["BLEU"]["mean"] - second["scores"]["BLEU"]["mean"]
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
