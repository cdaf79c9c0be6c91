"""Say whether the toy shows what it should: ``python scripts/verdict.py scores.json``.

Distillation must pay by clear margins, in BLEU points of the means: the teacher 2 above seq-KD,
seq-KD 2 above no distillation, word-KD 1 above none. The margins are chosen for this corpus; they
come from its many correct translations of one source and say nothing about real text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

MARGINS = (("teacher", "seq_kd", 2), ("seq_kd", "none", 2), ("word_kd", "none", 1))


def main(path: str) -> int:
    """Print a line for each margin; 0 where all are reached with three seeds, else 1."""
    systems = {system["name"]: system for system in json.loads(Path(path).read_text())["systems"]}
    fewest = min(systems[name]["n"] for name in ("none", "word_kd", "seq_kd"))
    reached = fewest >= 3
    for above, below, margin in MARGINS:
        means = [systems[name]["scores"]["BLEU"]["mean"] for name in (above, below)]
        good = means[0] - means[1] >= margin
        reached &= good
        sign = ">=" if good else "< "
        print(f"{above} - {below} = {means[0] - means[1]:+.2f} {sign} {margin} BLEU")
    few = f" ({fewest} seeds are too few)" if fewest < 3 else ""
    print(f"verdict: {'as it should be' if reached else 'not reached'}{few}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
