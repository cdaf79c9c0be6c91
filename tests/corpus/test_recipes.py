"""The recipes of docs/corpora.md, in its order, in one folder, as a reader would type them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from kd_plugin.commands import cli
from kd_plugin.tasks import DistillationTask

from . import made

PAGE = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text()
TINY = {"generate": ["--max-len-b", "9", "--cpu"], "cache": ["--cpu"]}
FORCED = ["--cpu"]
PLAIN = ("import", "select", "filter", "noise", "describe", "sources")  # words are whole here


def commands() -> list[list[str]]:
    """Every command of every block that begins with one."""
    blocks = re.findall(r"^```\n(fairseq-kd .*?)```", PAGE, flags=re.S | re.M)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_other_block_is_a_script_or_a_benchmark() -> None:
    """What is shown and not run here is run by the test of that, and is there."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE, flags=re.S | re.M)
    others = [block for block in blocks if not block.startswith("fairseq-kd ")]
    assert len(blocks) - len(others) == len(re.findall(r"^```\nfairseq-kd ", PAGE, flags=re.M))
    root = Path(__file__).parents[2]
    for line in (line for block in others for line in block.splitlines()):
        program, *given = shlex.split(line)
        if program == "python":
            assert (root / given[1].replace(".", "/")).with_suffix(".py").is_file()
            continue
        assert os.access(root / program, os.X_OK)
        for word in given:
            assert not word.startswith("configs/") or (root / word).is_file()


def test_they_run(
    data: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data, "data")
    shutil.copytree(data, "backtranslated")
    for name in ("teacher", "teacher0", "teacher1"):
        Path(name).mkdir()
        shutil.copy(teacher, f"{name}/checkpoint_best.pt")
    shutil.copy(teacher, "T.pt")
    Path("nllb.en").write_text("".join(f"{line}\n" for line in made.references(data)))
    Path("news.de").write_text("".join(f"{line}\n" for line in made.references(data, "xx")[:9]))
    ran = []
    for words in commands():
        output = Path(words[words.index("--output") + 1]) if "--output" in words else None
        if output and output.exists() and words[-1:] != ["unseen-store"]:  # another recipe's
            shutil.rmtree(output)
        plain = ["--subwords", "none"] if words[1] in PLAIN else []
        tiny = FORCED if "--teacher-forcing" in words else TINY.get(words[1], [])
        cli.main([*words[1:], *tiny, *plain])
        ran.append(words[1])
    assert {"generate", "select", "import", "mix", "noise", "filter", "describe"} <= set(ran)
    assert {"fold", "cache"} <= set(ran)
    task = DistillationTask.of_data("data")
    sizes = {
        name: len(task.language_pairs(name, "train")) for name in ("base+kd", "x1", "with-unseen")
    }
    assert sizes == {"base+kd": 300, "x1": 300 + 150 * 10, "with-unseen": 159}
