"""CONTRIBUTING's method in five steps works as it is written, in few lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ORACLE = '''

def reverse_kd(logits: Row, members: Sequence[Row], gold: int) -> Term:
    """sum p (log p - log q)."""
    p, q = softmax(logits), mean_teacher(members, 1.0)
    value = sum(a * math.log(a / b) for a, b in zip(p, q))
    return value, [a * (math.log(a / b) - value) for a, b in zip(p, q)]
'''
TEST = """

def test_reverse_kd(data: Path, teacher: Path) -> None:
    flags = ["--criterion", "reverse_kd", "--teacher-path", teacher, "--nll-weight", 0]
    setup = build(data, *TINY, *distillation(*flags, "--kd-weight", 1))
    sample = setup.batch()
    parts = [(reference(sample), oracle.reverse_kd)]
    assert_equal(setup, sample, *expect(setup, sample, members(str(teacher)), parts))
"""
TERM = '    "reverse_kd": "KL(p ‖ q)",\n'
PAGE = """# `reverse_kd`: reverse divergence

Σ_v p_v (log p_v - log q_v), with `--criterion reverse_kd`.
"""
CHECKS = "reverse_kd and not resumed and not hydra or registered or tables"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the five steps read and write."""
    names = ("kd_plugin", "tests", "docs", "configs", "scripts", "conftest.py", "pyproject.toml")
    for name in (*names, "README.md", "CONTRIBUTING.md"):
        copy_of = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy_of(ROOT / name, tmp_path / name)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python on the package in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    program = [sys.executable, *arguments]
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)


def insert(path: Path, before: str, text: str) -> None:
    """Put ``text`` in front of the only occurrence of ``before``."""
    first, second = path.read_text().split(before)
    path.write_text(first + text + before + second)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_new_method_is_one_short_file(copy: Path) -> None:
    """The steps in their order; then, in the copy, what holds for every method, and a training."""
    (block,) = re.findall(
        r"```python\n(.*?)```", (copy / "CONTRIBUTING.md").read_text(), flags=re.S
    )
    method = textwrap.dedent("   " + block.lstrip())
    package, tables = copy / "kd_plugin" / "criterions", ("docs/tables.py", "--check")
    (package / "reverse_kd.py").write_text(method)
    insert(package / "__init__.py", "from .selective_kd", "from .reverse_kd import ReverseKD\n")
    insert(package / "__init__.py", '"SelectiveKD"', '"ReverseKD", ')
    append(copy / "tests" / "oracle.py", ORACLE)
    append(copy / "tests" / "criterions" / "test_oracle.py", TEST)

    assert "reverse_kd is registered and not in TERMS" in run(copy, *tables).stderr
    (copy / "docs" / "methods" / "reverse_kd.md").write_text(PAGE)
    insert(copy / "docs" / "tables.py", "}\n\n\ndef methods", TERM)
    assert "a table is out of date" in run(copy, *tables).stderr
    assert run(copy, tables[0]).returncode == 0

    files = ["tests/test_readme.py", "tests/test_training.py", "tests/criterions"]
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHECKS, "-rA", *files)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.findall(r"^PASSED \S*::(\w+)", done.stdout, flags=re.M)
    assert len(passed) >= 15
    assert {
        "test_gradient_of_the_whole_loss",
        "test_all_methods_are_registered",
        "test_reverse_kd",
        "test_accumulated_updates_are_one_larger_batch",
        "test_every_method_is_listed_with_its_page",
        "test_the_tables_are_current",
    } <= set(passed)

    added = method + ORACLE + TEST + TERM
    assert len(added.splitlines()) + len(["its import", "its name"]) < 60
