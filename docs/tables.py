"""Write the generated tables: the methods in README.md, the flags in docs/flags.md.

usage: python docs/tables.py [--check]

``--check`` changes nothing and fails where a table is out of date.
"""

from __future__ import annotations

import re
import sys
from dataclasses import Field, fields
from enum import EnumMeta
from pathlib import Path
from typing import Any

from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, CRITERION_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY

import kd_plugin  # noqa: F401  (registers)
from kd_plugin.criterions.config import DistillationConfig
from kd_plugin.criterions.distillation import DistillationCriterion
from kd_plugin.host.ranges import flag_of

ROOT = Path(__file__).parent.parent
TERMS = {  # the distillation term of a token, in a line
    "word_kd": "T² Σ q log(q / p) over what `--kd-target` keeps",
    "seq_kd": "label-smoothed NLL of the teacher's text",
    "selective_kd": "T² KL(q ‖ p) where the student's cross-entropy is among the largest of its "
    "batch or of a queue",
    "tie_kd": "T² KL(q ‖ p) + ranking of the top k, mean over N readings, the later ones of the "
    "student's own prefix",
    "knn_kd": "KL(q ‖ p), q from the k nearest states of the training set",
    "annealing_kd": "mean squared error of z from Φ z_teacher, Φ growing to 1; then NLL alone",
    "hybrid_kd": "g times T² KL(q ‖ p) on the reference, 1 - g times NLL of the teacher's text",
}


def methods() -> str:
    """A row for each criterion: its module's first line, its term, its page."""
    for name in set(ours()) - set(TERMS):
        sys.exit(f"docs/tables.py: {name} is registered and not in TERMS; add its term in a line")
    lines = ["| criterion | method | distillation term of a token | page |", "|---|---|---|---|"]
    for name in sorted(ours(), key=[*TERMS].index):
        about = (sys.modules[CRITERION_REGISTRY[name].__module__].__doc__ or "").splitlines()[0]
        page = f"[{name}](docs/methods/{name}.md)"
        lines.append(f"| `{name}` | {about.rstrip('.')} | {TERMS[name]} | {page} |")
    return "\n".join(lines)


def ours() -> list[str]:
    """The names of our criterions."""
    return sorted(n for n, c in CRITERION_REGISTRY.items() if issubclass(c, DistillationCriterion))


def flags() -> str:
    """A row for each flag of the task and of every criterion."""
    stock = {field.name for field in fields(TASK_DATACLASS_REGISTRY["translation"])}
    rows = [("`--task distillation`", field) for field in own("distillation", stock)]
    shared = {field.name: field for field in fields(DistillationConfig)}
    rows += [("all criterions", field) for field in shared.values() if is_flag(field)]
    for name in ours():
        for field in fields(CRITERION_DATACLASS_REGISTRY[name]):
            inherited = shared.get(field.name)
            if is_flag(field) and (inherited is None or inherited.default != field.default):
                rows.append((f"`{name}`", field))
    lines = ["| of | flag | default | allowed | meaning |", "|---|---|---|---|---|"]
    for owner, field in rows:
        default = "" if field.default is None else field.default
        meaning = field.metadata["help"]
        lines.append(f"| {owner} | `{flag_of(field)}` | {default} | {allowed(field)} | {meaning} |")
    return "\n".join(lines)


def allowed(field: Field[Any]) -> str:
    """The values that a flag takes: one of some words, or a range of numbers."""
    if isinstance(field.type, EnumMeta):
        return ", ".join(f"`{choice.value}`" for choice in field.type)
    return str(field.metadata.get("range") or "")


def own(task: str, stock: set[str]) -> list[Field[Any]]:
    declared: list[Field[Any]] = list(fields(TASK_DATACLASS_REGISTRY[task]))
    return [field for field in declared if field.name not in stock and is_flag(field)]


def is_flag(field: Field[Any]) -> bool:
    return "help" in field.metadata


def main() -> None:
    """Rewrite the tables, or fail with --check where that would change one."""
    for page, table in (("README.md", methods), ("docs/flags.md", flags)):
        path = ROOT / page
        text = path.read_text("utf-8")
        begin, end = f"<!-- {table.__name__}: docs/tables.py writes this -->\n", "\n<!-- end -->"
        found = re.search(f"{begin}.*?{end}", text, flags=re.S)
        if not found:
            sys.exit(f"{page}: no place for the table of {table.__name__}; put {begin}{end[1:]}")
        updated = text.replace(found[0], begin + table() + end)
        if "--check" not in sys.argv:
            path.write_text(updated, "utf-8")
            print(f"{page}: {'updated' if updated != text else 'nothing to change'}")
        elif updated != text:
            sys.exit(f"{page}: a table is out of date; run python docs/tables.py")


if __name__ == "__main__":
    main()
