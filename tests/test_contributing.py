"""CONTRIBUTING's method in five steps works as it is written, in few lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

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


def test_a_new_method_is_one_short_file(tmp_path: Path) -> None:
    """In a copy: the file, its import, the oracle, its test; then what holds for every method."""
    for name in ("kd_plugin", "tests", "conftest.py", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", guide, flags=re.S)
    method = textwrap.dedent("   " + block.lstrip())
    folder = tmp_path / "kd_plugin" / "criterions"
    (folder / "reverse_kd.py").write_text(method)
    names = (folder / "__init__.py").read_text()
    names = names.replace('"SelectiveKD"', '"ReverseKD", "SelectiveKD"')
    (folder / "__init__.py").write_text(names + "from .reverse_kd import ReverseKD\n")
    for path, more in (("oracle.py", ORACLE), ("criterions/test_oracle.py", TEST)):
        with open(tmp_path / "tests" / path, "a") as file:
            file.write(more)
    assert sum(len(part.splitlines()) for part in (method, ORACLE, TEST)) + 2 < 60

    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "reverse_kd"]
    done = subprocess.run(
        [*program, "tests/criterions/test_every_method.py", "tests/criterions/test_oracle.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 15
