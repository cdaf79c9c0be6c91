"""Write the generated parts of the README: the table of flags.

usage: python docs/tables.py [--check]

``--check`` changes nothing and fails where the README is out of date.
"""

from __future__ import annotations

import re
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from fairseq.criterions import CRITERION_DATACLASS_REGISTRY, CRITERION_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY

import kd_plugin  # noqa: F401  (registers)
from kd_plugin.criterions.config import DistillationConfig
from kd_plugin.criterions.distillation import DistillationCriterion

README = Path(__file__).parent.parent / "README.md"


def flags() -> str:
    """A row for each flag of the task and of every criterion."""
    stock = {field.name for field in fields(TASK_DATACLASS_REGISTRY["translation"])}
    rows = [("`--task distillation`", field) for field in own("distillation", stock)]
    shared = {field.name: field for field in fields(DistillationConfig)}
    ours = (n for n, c in CRITERION_REGISTRY.items() if issubclass(c, DistillationCriterion))
    methods = sorted(ours)
    rows += [("all criterions", field) for field in shared.values() if is_flag(field)]
    for name in methods:
        for field in fields(CRITERION_DATACLASS_REGISTRY[name]):
            inherited = shared.get(field.name)
            if is_flag(field) and (inherited is None or inherited.default != field.default):
                rows.append((f"`{name}`", field))
    lines = ["| of | flag | default | meaning |", "|---|---|---|---|"]
    for owner, field in rows:
        flag = "--" + field.name.replace("_", "-")
        default = "" if field.default is None else field.default
        lines.append(f"| {owner} | `{flag}` | {default} | {field.metadata['help']} |")
    return "\n".join(lines)


def own(task: str, stock: set[str]) -> list[Field[Any]]:
    declared: list[Field[Any]] = list(fields(TASK_DATACLASS_REGISTRY[task]))
    return [field for field in declared if field.name not in stock]


def is_flag(field: Field[Any]) -> bool:
    return "help" in field.metadata


def main() -> None:
    """Rewrite the README, or fail with --check where that would change it."""
    text = README.read_text()
    begin, end = "<!-- flags: docs/tables.py writes this -->\n", "\n<!-- end -->"
    updated = re.sub(f"{begin}.*?{end}", lambda _: begin + flags() + end, text, flags=re.S)
    if "--check" not in sys.argv:
        README.write_text(updated)
        print(f"{README.name}: {'updated' if updated != text else 'nothing to change'}")
    elif updated != text:
        sys.exit("README.md: the table of flags is out of date; run python docs/tables.py")


if __name__ == "__main__":
    main()
