"""A small table, as a mapping, and what it is compiled with."""

from __future__ import annotations

import copy
from typing import Any

from kd_plugin.tables.plan import Plan, compile_table
from kd_plugin.tables.read import parse_table
from kd_plugin.tables.table import Scale, Table
from kd_plugin.tables.work import Data, Model

DATA = Data(
    "de-en", "$ROOT/configs/data/de-en.yaml", {"languages": ["de", "en"], "tests": ["a", "b"]}
)
MODELS = {name: Model(f"$ROOT/{name}.args", ("--arch", name)) for name in ("big", "small", "tiny")}
HALF = {"--kd-weight": [0.5, "Table 2"]}
TABLE: dict[str, Any] = {
    "title": "A table",
    "from": "ours",
    "data": "de-en",
    "baseline": "none",
    "decoding": {"beam5": {"--beam": [5, "section 4"]}, "greedy": {"--beam": 1}},
    "teacher": {"model": "big"},
    "students": {"small": {"model": "small"}, "tiny": {"model": "tiny", "from": "Table 1"}},
    "corpora": {"kd": {"generate": {"--beam": 5}}, "both": {
        "generate": {"--beam": 5}, "parts": ["gold:2", "teacher"], "from": "section 3"}},
    "stores": {"top": {"cache": {"--top-k": 8}}, "near": {"neighbours": {"--k": 4}}},
    "rows": {
        "none": {},
        "word": {"method": "word_kd", "teacher": "live", "flags": HALF},
        "store": {"method": "word_kd", "store": "top"},
        "near": {"method": "knn_kd", "store": "near", "students": ["small"]},
        "seq": {"text": "kd"},
        "pairs": {"text": "both", "seeds": 1},
        "bt": {"later": "needs another teacher"},
    },
    "published": [{
        "source": "Table 3", "metric": "tok. BLEU", "decoding": "beam5", "ours": "BLEU",
        "values": {"teacher": 30.0, "small": {"none": 20.0, "word": 21.5, "seq": 19.0}},
    }],
}  # fmt: skip


def mapping(**changes: Any) -> dict[str, Any]:
    """The table; a change ``rows__none={...}`` is of rows.none."""
    made = copy.deepcopy(TABLE)
    for name, value in changes.items():
        *path, last = name.split("__")
        inner = made
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return made


def table(**changes: Any) -> Table:
    return parse_table(mapping(**changes), "made", "made.yaml")


def plan(scale: Scale | None = None, seeds: int = 2, of: Data = DATA, **changes: Any) -> Plan:
    return compile_table(table(**changes), scale or Scale("paper"), of, MODELS, seeds)
