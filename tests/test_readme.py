"""The README's commands run, and what it lists exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .support import METHODS, SCHEDULE, TINY, command, write_lines

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


PAGES = sorted(p.relative_to(ROOT) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TRAINS = ("fairseq-train", "./scripts/train.sh")
# test_quickstart.py, this run, and tests/tables
ELSEWHERE = ("./scripts/quickstart.sh", "./scripts/test.sh", "./scripts/reproduce.sh")


def commands(text: str) -> list[str]:
    """Every command of every bash block, continuation lines joined."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.S)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line]


def test_every_command_runs(tmp_path: Path) -> None:
    """In the README's order and folder layout; models are made tiny and runs short."""
    (described,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.S)
    (tmp_path / "mine.yaml").write_text(described.replace("size: 4000", "size: 20"))
    write_lines(tmp_path / "corpus", {"train": 60, "valid": 9, "test": 7}, ("de", "en"))
    shorter = [*TINY, *SCHEDULE, "--max-update", "2", "--max-epoch", "1"]
    shorter = [f for f in shorter if f not in ("--arch", "transformer", "--no-epoch-checkpoints")]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": sys.prefix,
    }
    done = []
    for line in commands(README):
        name = line.split()[0]
        if name in ELSEWHERE:
            continue
        done.append(line)
        line += " " + " ".join(shorter) if name in TRAINS else ""
        line += " --cpu --max-len-b 9" if re.match(r"\S*(generate|translate)", line) else ""
        for folder in ("scripts", "configs"):
            line = re.sub(rf"(^|\s)(\./)?{folder}/", rf"\1{ROOT}/{folder}/", line)
        call = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert call.returncode == 0, line + call.stdout + call.stderr
    trained = re.findall(r"--criterion (\w+)", "\n".join(done))
    assert len({*trained}) >= 7
    assert {"fairseq-train", "fairseq-generate", "fairseq-kd"} <= {line.split()[0] for line in done}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_listed_with_its_page(method: str) -> None:
    assert f"| `{method}` |" in README
    assert f"(docs/methods/{method}.md)" in README
    page = (ROOT / "docs" / "methods" / f"{method}.md").read_text()
    assert f"--criterion {method}" in page


def test_the_tables_are_current(tmp_path: Path) -> None:
    done = command("python", ROOT / "docs" / "tables.py", "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_and_files_exist(page: Path) -> None:
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\((?!https?:)([^)#]*)", text):
        assert not link or (ROOT / page.parent / link).exists(), link
    for path in re.findall(r"`((?:kd_plugin|scripts|tests|docs|benchmarks)/[\w/.]+)`", text):
        assert (ROOT / path).exists() or "reverse_kd" in path or "my_kd" in path, path
