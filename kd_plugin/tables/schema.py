"""The keys of a table's YAML, and what each may be; docs/tables.md explains them."""

from __future__ import annotations

import re
from typing import Any

from ..files.keys import MAPPING, SIZE, TEXT, Rule, one_of
from .measures import MEASURES, STEPS

METHODS = (
    "word_kd", "seq_kd", "selective_kd", "tie_kd", "knn_kd", "annealing_kd", "hybrid_kd",
)  # fmt: skip
NAME = re.compile(r"[\w.+-]+")
PART = re.compile(r"(gold|teacher|extra)(:[1-9]\d*)?")
RULE = re.compile(r"last|best-bleu|average:[1-9]\d*")


def _names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_parts(value: Any) -> bool:
    return _names(value) and all(PART.fullmatch(part) for part in value)


YES: Rule = ("true", lambda value: value is True)
NAMES: Rule = ("a list of names", _names)
LIST: Rule = ("a list of mappings", lambda v: isinstance(v, list) and all(map(_is_map, v)))
CHECKPOINT: Rule = (
    "last, best-bleu or average:K",
    lambda value: isinstance(value, str) and RULE.fullmatch(value) is not None,
)
FOLDS: Rule = ("a whole number, 2 or more", lambda value: SIZE[1](value) and value > 1)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


KEYS: dict[str, Rule] = {
    "title": TEXT,
    "about": TEXT,
    "from": TEXT,
    "data": TEXT,
    "halves": YES,
    "noise": MAPPING,
    "checkpoint": CHECKPOINT,
    "baseline": TEXT,
    "measure": (
        f"a list of some of {', '.join(STEPS)}",
        lambda value: _names(value) and set(value) <= set(STEPS),
    ),
    "gates": MAPPING,
    "decoding": MAPPING,
    "teacher": MAPPING,
    "students": MAPPING,
    "corpora": MAPPING,
    "stores": MAPPING,
    "rows": MAPPING,
    "published": LIST,
    "curves": LIST,
    "scales": MAPPING,
}
NEEDED = ("title", "from", "data", "baseline", "decoding", "teacher", "students", "rows")
NUMBER: Rule = ("a number", is_number)
GATES: dict[str, Rule] = {
    "doubled": TEXT, "gain": NUMBER, "teacher": NUMBER, "memorised": NUMBER,
}  # fmt: skip
TEACHER: dict[str, Rule] = {
    "model": TEXT, "flags": MAPPING, "seed": SIZE, "folds": FOLDS, "from": TEXT,
}  # fmt: skip
STUDENT: dict[str, Rule] = {
    "model": TEXT, "flags": MAPPING, "noise": MAPPING, "label": TEXT, "from": TEXT,
}  # fmt: skip
CORPUS: dict[str, Rule] = {
    "generate": MAPPING,
    "select": MAPPING,
    "filter": MAPPING,
    "parts": (
        "a list of gold, teacher and extra (with :N, N times), such as [gold, teacher]",
        _is_parts,
    ),
    "pairs": MAPPING,
    "asked": one_of("seen"),
    "from": TEXT,
}
STORE: dict[str, Rule] = {
    "cache": MAPPING,
    "datastore": MAPPING,
    "neighbours": MAPPING,
    "asked": one_of("seen"),
    "from": TEXT,
}
ROW: dict[str, Rule] = {
    "label": TEXT,
    "method": one_of(*METHODS),
    "teacher": one_of("live"),
    "store": TEXT,
    "text": TEXT,
    "distilled": TEXT,
    "flags": MAPPING,
    "longer": SIZE,
    "start": TEXT,
    "search": MAPPING,
    "students": NAMES,
    "seeds": SIZE,
    "later": TEXT,
    "from": TEXT,
}
SEARCH: dict[str, Rule] = {"datastore": TEXT, "flags": MAPPING}
PUBLISHED: dict[str, Rule] = {
    "source": TEXT,
    "metric": TEXT,
    "data": TEXT,
    "decoding": TEXT,
    "ours": one_of(*MEASURES),
    "values": MAPPING,
    "lower_is_better": YES,
}
CURVE: dict[str, Rule] = {"title": TEXT, "axis": TEXT, "at": MAPPING, "rows": NAMES}
SCALE: dict[str, Rule] = {
    "data": TEXT,
    "seeds": SIZE,
    "train_pairs": SIZE,
    "limit": SIZE,
    "checkpoint": CHECKPOINT,
    "teacher": MAPPING,
    "student": MAPPING,
    "students": ("a mapping of students to model files", is_texts),
    "row_flags": MAPPING,
    "rows": MAPPING,
    "decoding": MAPPING,
    "generate": MAPPING,
    "speed": MAPPING,
    "gates": one_of("tell"),
    "remark": TEXT,
}
MODEL: dict[str, Rule] = {"model": TEXT, "flags": MAPPING}
SCALES = ("smoke", "small", "paper")
