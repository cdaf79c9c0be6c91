"""The chain of a corpus, told from it alone: the folders below it, and names that collide."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from kd_plugin.commands import cli

from .. import support
from . import made

PLAIN = ["--subwords", "none"]
SEARCH = ["--beam", "3", "--nbest", "3", "--max-len-b", "9", "--cpu"]


def run(*words: object) -> None:
    cli.main([str(word) for word in words])


def told(folder: object, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The words of each command of its history."""
    capsys.readouterr()
    run("history", folder)
    lines = capsys.readouterr().out.splitlines()
    return [shlex.split(line)[1:] for line in lines if line[0] != "#"]


def test_a_chain_of_six_from_the_last_corpus_alone(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Sources that were damaged, decoded, chosen by two measures and cleaned."""
    monkeypatch.chdir(tmp_path)
    run("noise", data, "--swap", "0.4", "--seed", "5", *PLAIN, "--output", "noisy")
    run("noise", "noisy", "--delete", "0.2", *PLAIN, "--output", "noisier")
    run("generate", "noisier", "--path", teacher, "--output", "corpus", *SEARCH)
    run("select", "corpus", "--by", "mbr", "--n", "2", "--data", "noisier", *PLAIN,
        "--output", "two")  # fmt: skip
    run("select", "two", "--copies", "2,1", *PLAIN, "--output", "copied")
    run("filter", "copied", "noisier", "--max-ratio", "3", *PLAIN, "--output", "clean")
    commands = told("clean", capsys)
    kinds = ["noise", "noise", "generate", "select", "select", "filter"]
    assert [words[0] for words in commands] == kinds
    assert commands[0][1] == str(data)
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.chdir(again)
    os.symlink(teacher, "TEACHER1.PT")
    for words in commands:
        run(*words)
    made_again = Path(commands[-1][commands[-1].index("--output") + 1])
    name = f"{made.NAME}.shard0-of-1.jsonl.gz"
    assert (made_again / name).read_bytes() == (tmp_path / "clean" / name).read_bytes()


def test_what_is_made_again_has_no_name_of_what_was_there(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader's own data1 and corpus1 are not overwritten, nor taken for what is made."""
    monkeypatch.chdir(tmp_path)
    os.symlink(data, "data1")
    run("noise", "data1", "--swap", "0.4", *PLAIN, "--output", "data2")
    run("mix", "data1", "--part", "gold", "--part", "data2", "--output", "both")
    first, second = told("both", capsys)
    assert first[1] == second[1] == "data1"
    assert first[-1] not in ("data1", "data2")
    for words in (first, second):
        run(*words)
    for side in ("xx", "yy"):
        name = f"{made.NAME}.{side}.bin"
        assert support.sha256(Path(second[-1]) / name) == support.sha256(Path("both") / name)
