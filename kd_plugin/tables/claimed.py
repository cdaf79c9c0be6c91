"""Claims held against what there is, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..report.table import rounded
from .blocks import Block, Grid, Heading, Text
from .claims import Claim, Test, published
from .evidence import Evidence, absent
from .verdict import ALONE, NOT_RUN, UNDECIDED, Measured, judge, level_of

COLUMNS = ("tested in", "statement", "ours", "interval", "seeds", "verdict", "published")
HOW = (
    "A test is supported where the interval of each of its statements lies within what the "
    "claim says, contradicted where one lies outside, undecided otherwise. The interval is "
    "the hull of Student's t over the differences of runs that share a seed and of the "
    "hierarchical bootstrap over seeds and sentences; (t): of the first alone, which knows "
    "other seeds and no other sentences. It leaves 5 % outside, divided by the number of "
    "statements of a test. So one test in twenty decides by chance where there is nothing to "
    "find, and a page has many. How many seeds would decide is our estimate: with so many the"
    " t interval would, four times of five, if the difference and its deviation between seeds"
    " stay what they are. Published is the same difference between published numbers, whose "
    "models, data and tokenisation are others; it has no part in a verdict. Margins (within) "
    "are ours: no paper states one."
)


def results(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """Each claim, its tests on each piece of evidence of their table, and the verdicts."""
    return [
        {
            "name": claim.name,
            "says": claim.says,
            "source": claim.source,
            "published": claim.published,
            "tests": [found for test in claim.tests for found in _results(test, evidence)],
        }
        for claim in claims
    ]


def _results(test: Test, evidence: Sequence[Evidence]) -> Iterator[dict[str, Any]]:
    level = level_of(test.statements)
    found = [one for one in evidence if one.table == test.table.name]
    for one in found:
        yield _result(test, one.where, [one.measure(test, said, level) for said in test.statements])
    if not found:
        missing = [Measured(s, missing=absent(test, s.cells)) for s in test.statements]
        yield _result(test, "", missing)


def _result(test: Test, evidence: str, measured: Sequence[Measured]) -> dict[str, Any]:
    verdict, judged = judge(measured)
    return {
        "table": test.table.name,
        "where": test.where,
        "evidence": evidence,
        "verdict": verdict,
        "level": level_of(measured),
        "remark": test.remark,
        "statements": [
            {
                "statement": one.statement.text,
                "measure": one.statement.measure,
                "decodings": list(one.statement.decodings),
                "by_seed": list(one.values),
                "mean": said.mean,
                "interval": said.interval,
                "bootstrap": one.bootstrap,
                "verdict": said.verdict,
                "seeds_needed": said.seeds,
                "why": said.why,
                "published": [
                    {"difference": number, "of": of}
                    for number, of in published(one.statement, test.table)
                ],
            }
            for one, said in zip(measured, judged)
        ],
    }


def page(found: Sequence[dict[str, Any]], evidence: Sequence[Evidence]) -> list[Block]:
    """A section for each claim, below a table of all."""
    blocks: list[Block] = [Heading("What papers claim, and what was seen here", 1), Text(HOW)]
    known = [f"{one.table} ({one.where})" for one in evidence]
    blocks.append(Text(f"Held against: {'; '.join(known) or 'nothing yet'}."))
    asked = {test["table"] for claim in found for test in claim["tests"]}
    unasked = sorted({one.table for one in evidence} - asked)
    if unasked:
        blocks.append(
            Text(
                f"No claim is about {', '.join(unasked)}: claims go by a table's file name, which "
                "a copy of a table should keep."
            )
        )
    rows = [(claim["name"], claim["says"], _summary(claim)) for claim in found]
    blocks.append(Grid(("claim", "says", "verdict"), rows, frozenset({"says", "verdict"})))
    for claim in found:
        blocks += _section(claim)
    return blocks


def _summary(claim: dict[str, Any]) -> str:
    """Its verdicts, with where each was reached, apart from what has not run."""
    run = [test for test in claim["tests"] if test["verdict"] != NOT_RUN]
    verdicts: dict[str, dict[str, None]] = {}
    for test in run:
        others = [other for other in run if other["verdict"] != test["verdict"]]
        alone = any(said["why"] == ALONE for said in test["statements"])
        name = test["verdict"] + (" (t)" if alone and test["verdict"] != UNDECIDED else "")
        verdicts.setdefault(name, {})[_label(test, others)] = None
    return "; ".join(f"{name}: {', '.join(where)}" for name, where in verdicts.items()) or NOT_RUN


def _label(test: dict[str, Any], others: Sequence[dict[str, Any]]) -> str:
    """Where it was tested, and more where another verdict was reached there."""
    names = test["where"], test["evidence"], test["statements"][0]["statement"]
    alike = [other for other in others if other["where"] == names[0]]
    return f"{names[0]} ({', '.join(names[1:])})" if alike else names[0]


def _section(claim: dict[str, Any]) -> Iterator[Block]:
    yield Heading(claim["name"])
    yield Text(f"{claim['says']} Source: {claim['source']}.")
    rows = [row for test in claim["tests"] for row in _rows(test)]
    if claim["published"]:
        yield Text(f"Published elsewhere: {claim['published']}.")
    elif not any(row[-1] for row in rows):
        yield Text("No difference is public.")
    yield Grid(COLUMNS, rows, frozenset({"statement", "verdict", "published"}))
    remarks = dict.fromkeys(t["remark"] for t in claim["tests"] if t["remark"])
    if remarks:
        yield Text(" ".join(remarks))


def _rows(test: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    where = ", ".join(filter(None, [test["where"], test["evidence"]]))
    if len(test["statements"]) > 1:
        yield where, "all of these", "", "", "", test["verdict"], ""
    for said in test["statements"]:
        alone = "" if said["bootstrap"] or said["interval"] is None else " (t)"
        why = said["why"] if test["evidence"] else ""  # without any, that says it
        verdict = said["verdict"] + (f": {why}" if why else "")
        yield (
            where,
            said["statement"],
            "" if said["mean"] is None else rounded(said["mean"], 2, "+"),
            " to ".join(rounded(end, 2, "+") for end in said["interval"] or ()) + alone,
            str(len(said["by_seed"]) or ""),
            verdict,
            "; ".join(f"{rounded(p['difference'], 2, '+')} ({p['of']})" for p in said["published"]),
        )
