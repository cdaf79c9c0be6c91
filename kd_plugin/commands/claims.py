"""``fairseq-kd claims``: what papers claim, held against scores.

Each claim is supported, contradicted, undecided or not run. Markdown on standard output; where a
claim is undecided, it tells how many seeds would decide.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .flags import declare

EXAMPLE = """  fairseq-kd claims reproduced
  fairseq-kd claims multi30k_extra_source=scores.json"""


def add_command(commands: Any) -> None:
    """Register the command."""
    summary = "what papers claim, held against what was seen"
    parser = declare(commands, "claims", summary, __doc__, EXAMPLE, run, host=False)
    add = parser.add_argument
    add(
        "evidence",
        nargs="+",
        metavar="FOLDER|TABLE[/STUDENT]=JSON",
        help="the output folder of reproduce.sh, or its ledger; or a table of configs/tables and "
        "the scores (fairseq-kd score --paired --json) of systems called as its rows",
    )
    add("--claims", type=Path, metavar="YAML", help="the claims (default: configs/claims.yaml)")
    add("--json", metavar="FILE", help="also write everything here")


def run(given: argparse.Namespace) -> None:
    """Read, judge, print and write."""
    from ..files.whole import write_json
    from ..tables.claimed import page, results
    from ..tables.claims import CLAIMS, read_claims
    from ..tables.evidence import read_evidence
    from ..tables.render import markdown

    claims = read_claims(given.claims or CLAIMS)
    evidence = [one for word in given.evidence for one in read_evidence(word)]
    found = results(claims, evidence)
    print(markdown(page(found, evidence)), end="")
    if given.json:
        write_json(given.json, {"claims": found})
