"""What papers claim, as statements that scores can contradict; docs/tables.md explains the keys.

Every kind of statement becomes a weighted sum of scores, of a row and student each, and a range in
which the claim puts it: "seq_kd beats word_kd" is seq_kd - word_kd, above 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.keys import MAPPING, TEXT, Rule, check_keys, one_of, read_mapping
from .locate import CONFIGS, find
from .measures import MEASURES
from .read import read_table
from .schema import LIST, NAMES, is_number
from .table import Table

CLAIMS = CONFIGS / "claims.yaml"
Cell = tuple[str, str]  # student, row


def _is_margin(value: Any) -> bool:
    return is_number(value) and 0 < value < math.inf


def _names(least: int, most: float = math.inf) -> Callable[[Any], bool]:
    return lambda v: NAMES[1](v) and len(v) == len(set(v)) and least <= len(v) <= most


PAIR: Rule = ("a list of two different names", _names(2, 2))
CLAIM: dict[str, Rule] = {"says": TEXT, "source": TEXT, "published": TEXT, "tests": LIST}
KINDS: dict[str, Rule] = {
    "greater": ("a list of two or more different names", _names(2)),
    "near": PAIR,
    "below": PAIR,
    "diminishing": ("a list of three or more different names", _names(3)),
    "degrades_less": PAIR,
}
STATEMENT: dict[str, Rule] = {
    **KINDS,
    "within": ("a number above 0", _is_margin),
    "between": PAIR,
    "measure": one_of(*MEASURES),
    "decoding": TEXT,
}
TEST: dict[str, Rule] = {
    "table": TEXT, "students": NAMES, "all": LIST, "remark": TEXT, **STATEMENT,
}  # fmt: skip
RANGES = {  # in which the claim puts the sum; a 1 is the margin, which is endless without `within`
    "greater": (0, 1), "near": (-1, 1), "below": (-1, 0), "diminishing": (0, 1),
    "degrades_less": (0, 1),
}  # fmt: skip
SIGNS = {"greater": ">", "near": "≈", "below": "<"}
BESIDE = {"near": "within", "below": "within", "degrades_less": "between"}  # keys that a kind needs


@dataclass(frozen=True)
class Statement:
    """A weighted sum of scores, and the open range in which the claim puts it.

    Each cell is decoded in one of the table's ways. ``weights`` is empty where they depend on how
    large the models turned out: see :meth:`weigh`.
    """

    text: str
    cells: tuple[Cell, ...]
    decodings: tuple[str, ...]
    weights: tuple[float, ...]
    low: float
    high: float
    measure: str

    def weigh(self, parameters: Mapping[Cell, float | None]) -> tuple[float, ...] | None:
        """The weights of the cells; None where they need sizes that do not grow or are unknown.

        Diminishing returns of three cells: the slope from the first to the second, in points a
        million parameters, minus the slope from the second to the third.
        """
        if self.weights:
            return self.weights
        sizes = [parameters[cell] for cell in self.cells]
        first, second, third = ((size or 0) / 1e6 for size in sizes)
        if not 0 < first < second < third:
            return None
        before, after = 1 / (second - first), 1 / (third - second)
        return -before, before + after, -after


@dataclass(frozen=True)
class Test:
    """Statements on one table, all of which must hold."""

    table: Table
    where: str  # the table, and the student if the claim names several
    statements: tuple[Statement, ...]
    remark: str


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and what would show that it is right or wrong here."""

    name: str
    says: str
    source: str
    published: str  # numbers that no table has
    tests: tuple[Test, ...]


def read_claims(path: Path = CLAIMS) -> list[Claim]:
    """The claims of a file, checked against the tables that they name.

    Raises:
        InputError: it is no YAML, a key is missing or unknown, a value is not what it must be, or
            names a table, student, row or decoding that is not there.
    """
    tables: dict[str, Table] = {}
    claims = []
    for name, given in read_mapping(path, "a file of claims", "configs/claims.yaml").items():
        where = f"{path}: {name}"
        if not isinstance(given, dict):
            raise InputError(f"{where} is {given!r}, which must be {MAPPING[0]}")
        check_keys(given, CLAIM, ("says", "source", "tests"), where)
        if not given["tests"]:
            raise InputError(f"{where} has no tests; give one or more")
        tests = [
            test
            for number, one in enumerate(given["tests"], 1)
            for test in _tests(one, f"{where}: test {number}", tables, path.parent)
        ]
        source, published = given["source"], given.get("published", "")
        claims.append(Claim(str(name), given["says"], source, published, tuple(tests)))
    return claims


def _tests(
    given: Mapping[str, Any], where: str, tables: dict[str, Table], folder: Path
) -> list[Test]:
    """A test for each student that is named; one where cells name theirs."""
    check_keys(given, TEST, ("table",), where)
    name = given["table"]
    if name not in tables:
        tables[name] = read_table(find(name, "tables", ".yaml", folder))
    table = tables[name]
    parts = [{key: value for key, value in given.items() if key in STATEMENT}]
    if "all" in given:
        if parts[0]:
            raise InputError(f"{where} has all and {next(iter(parts[0]))}; give one")
        parts, where = given["all"], f"{where}: all"
    if not parts:
        raise InputError(f"{where} is empty; give a list of statements")
    students = given.get("students", [*table.students] if len(table.students) == 1 else [""])
    found = []
    for student in students:
        _require(student or None, table.students, f"{where}: students")
        statements = [one for part in parts for one in _statements(part, table, student, where)]
        label = f"{table.name}, {student}" if "students" in given else table.name
        found.append(Test(table, label, tuple(statements), given.get("remark", "")))
    return found


def _statements(
    given: Mapping[str, Any], table: Table, student: str, where: str
) -> list[Statement]:
    """One kind of statement; a chain of names is a statement for each link."""
    kind = _kind(given, where)
    measure, main = given.get("measure", "BLEU"), next(iter(table.decoding))
    decoding = given.get("decoding", main)
    _require(decoding, table.decoding, f"{where}: decoding")
    apart = [word for word in (measure, decoding) if word not in ("BLEU", main)]
    told = f" ({', '.join(apart)})" if apart else ""
    names, at = given[kind], f"{where}: {kind}"
    margin = float(given.get("within", math.inf))
    by = "" if margin == math.inf else f", within {margin:g}"
    low, high = (end * margin if end else 0.0 for end in RANGES[kind])
    size, decodings = 2, tuple[str, ...]()
    weights: tuple[float, ...] = (1.0, -1.0)
    texts = [f"{a} {SIGNS.get(kind)} {b}{by}" for a, b in pairwise(names)]
    if kind == "diminishing":
        size, weights = 3, ()
        texts = [f"points a million parameters, {a} to {b} > {b} to {c}"
                 for a, b, c in zip(names, names[1:], names[2:])]  # fmt: skip
    elif kind == "degrades_less":
        (a, b), (clean, damaged) = names, given["between"]
        size, weights = 4, (1.0, -1.0, -1.0, 1.0)
        texts = [f"{damaged} - {clean} of {a} > of {b}"]
        names = [row for row in (a, b) for _ in (damaged, clean)]
        known: Collection[str] = table.decoding if clean in table.decoding else table.students
        for one in (clean, damaged):
            _require(one, known, f"{where}: between")
        if known is table.decoding:
            decodings = (damaged, clean) * 2
        else:
            names = [f"{one}/{row}" for row in (a, b) for one in (damaged, clean)]
    cells = [_cell(name, table, student, at) for name in names]
    return [
        Statement(
            text + told, tuple(cells[n : n + size]), decodings or (decoding,) * size, weights, low,
            high, measure,
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip


def _kind(given: Mapping[str, Any], where: str) -> str:
    """The kind of a statement, which has the keys that it needs and no others."""
    check_keys(given, STATEMENT, (), where)
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        has = " and ".join(kinds) or "no statement"
        raise InputError(f"{where} has {has}; give one of {', '.join(KINDS)}")
    (kind,) = kinds
    for key in ("within", "between"):
        needs = BESIDE.get(kind) == key
        if needs != (key in given):
            says = f"needs the key {key!r}" if needs else f"has no use for the key {key!r}"
            users = " and ".join(one for one, beside in BESIDE.items() if beside == key)
            raise InputError(f"{where}: {kind} {says}, which is of {users}")
    return kind


def _cell(name: str, table: Table, student: str, where: str) -> Cell:
    """``row`` of the test's student, or ``student/row``."""
    before, slash, row = name.rpartition("/")
    if slash:
        student = before
    if not student:
        raise InputError(f"{where} names {name!r} of no student; give STUDENT/{name}, or the "
                         f"test's students, of {', '.join(table.students)}")  # fmt: skip
    _require(student, table.students, f"{where} ({name})")
    _require(row, table.rows, where)
    _require(student, table.rows[row].students, f"{where} ({name})")
    return student, row


def _require(name: str | None, known: Collection[str], where: str) -> None:
    if name is not None and name not in known:
        raise InputError(f"{where} names {name!r}; give one of {', '.join(known)}")


def published(statement: Statement, table: Table) -> list[tuple[float, str]]:
    """What the sum is in each of a table's published columns that has all its cells."""
    main, found = next(iter(table.decoding)), []
    for numbers in table.published:
        decoded = {numbers.decoding or main} == {*statement.decodings}
        same = numbers.ours == statement.measure and decoded
        values = [numbers.values.get(student, {}).get(row) for student, row in statement.cells]
        known = [value for value in values if value is not None]
        if same and statement.weights and len(known) == len(values):
            total = math.fsum(w * v for w, v in zip(statement.weights, known))
            found.append((total, f"{numbers.data}, {numbers.metric}"))
    return found
