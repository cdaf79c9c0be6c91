"""What is damaged is found, and the advice of each message mends it: the bytes are back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kd_plugin.commands import cli

from .stored import cache

STORE = "train.xx-yy.shard0-of-1.store"
CORPUS = "train.xx-yy.shard0-of-1.jsonl.gz"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def content(folder: Path) -> dict[str, bytes]:
    """All that is not set aside."""
    files = (path for path in folder.iterdir() if path.suffix != ".damaged")
    return {path.name: path.read_bytes() for path in files}


def run(*arguments: object) -> str:
    """The error of a command, "" where there is none."""
    try:
        cli.main([str(part) for part in arguments])
    except SystemExit as stopped:
        return str(stopped.code)
    return ""


def damage_and_redo(
    folder: Path, tmp_path: Path, name: str, damage: Callable[[Path], None],
    write: Callable[[Path], str], read: Callable[[Path], str],
) -> None:  # fmt: skip
    """The reader refuses and names the command; the same command again brings the bytes back."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    damage(copy / name)
    message = read(copy)
    assert "again" in message
    assert "\n" not in message
    if "is missing; copy it again, or move" in message:
        (copy / name.removesuffix(".manifest.json")).rename(tmp_path / "moved")
    assert write(copy) == ""
    assert content(copy) == content(folder)
    assert read(copy) == ""


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (STORE, flip), (STORE, cut), (STORE, empty),
        (f"{STORE}.index", flip), (f"{STORE}.index", cut), (f"{STORE}.index", remove),
        (f"{STORE}.manifest.json", cut), (f"{STORE}.manifest.json", empty),
        (f"{STORE}.manifest.json", remove),
    ],
)  # fmt: skip
def test_a_store(
    data: Path, teacher: Path, top8: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    same = ("--path", teacher, "--cpu", "--block-size", 37)
    damage_and_redo(
        top8, tmp_path, name, damage,
        lambda copy: run("cache", data, "--output", copy, *same),
        lambda copy: run("cache", data, "--output", copy, *same, "--verify"),
    )  # fmt: skip


def test_damage_is_said_and_kept(
    data: Path, teacher: Path, top8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(top8, tmp_path / "copy"))
    flip(copy / STORE)
    harmed = (copy / STORE).read_bytes()
    capsys.readouterr()
    cache(data, teacher, copy, "--block-size", 37)
    said = capsys.readouterr()
    assert f"{STORE} is not what its manifest says (sha256): {STORE} is moved to" in said.err
    assert (copy / f"{STORE}.damaged").read_bytes() == harmed
    cache(data, teacher, copy, "--block-size", 37)
    assert f"{STORE} is complete: nothing to do" in capsys.readouterr().out


@pytest.fixture(scope="module")
def corpus(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    assert generate(data, teacher, folder) == ""
    return folder


def generate(data: Path, teacher: Path, folder: Path) -> str:
    search = ("--beam", 2, "--max-len-b", 12, "--cpu")
    return run("generate", data, "--path", teacher, "--output", folder, *search)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (CORPUS, flip), (CORPUS, cut), (CORPUS, empty), (f"{CORPUS}.manifest.json", cut),
        (f"{CORPUS}.manifest.json", remove),
    ],
)  # fmt: skip
def test_a_corpus(
    data: Path, teacher: Path, corpus: Path, tmp_path: Path, name: str,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    damage_and_redo(
        corpus, tmp_path, name, damage,
        lambda copy: generate(data, teacher, copy),
        lambda copy: run(
            "text", copy, "--subset", "train", "-s", "xx", "-t", "yy", "--output", tmp_path / "out"
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def searched(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datastore") / "datastore"
    assert index(data, teacher, folder) == ""
    return folder


def index(data: Path, teacher: Path, folder: Path) -> str:
    flags = ("--subset", "train", "--index", "IVF4,Flat", "--cpu")
    return run("datastore", data, "--path", teacher, "--output", folder, *flags)


def first_matrix(folder: Path) -> str:
    return next(path.name for path in folder.glob("output.*.npy"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("index.faiss", flip), ("index.faiss", remove), ("index.faiss", empty),
        ("index.json", cut), ("index.json", empty), (STORE, flip), (f"{STORE}.index", flip),
        (f"{STORE}.manifest.json", empty),
    ],
)  # fmt: skip
def test_a_datastore(
    data: Path, teacher: Path, searched: Path, tmp_path: Path, name: str,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    damage_and_redo(
        searched, tmp_path, name, damage,
        lambda copy: index(data, teacher, copy),
        lambda copy: find(copy, tmp_path / "neighbours"),
    )  # fmt: skip


def find(folder: Path, output: Path) -> str:
    shutil.rmtree(output, ignore_errors=True)
    return run("neighbours", folder, "--subset", "train", "--k", 3, "--output", output)


@pytest.mark.parametrize(
    "content",
    [
        b"{}", b"[]", b'{"store": "../../x", "index": "exact", "shards": [], "sha256": null}',
        b'{"store": "train.xx-yy", "index": "exact", "shards": ["O"], "sha256": null}',
        b'{"store": "train.xx-yy", "index": 5, "shards": [], "sha256": []}',
    ],
)  # fmt: skip
def test_a_hostile_list_of_an_index(searched: Path, tmp_path: Path, content: bytes) -> None:
    copy = Path(shutil.copytree(searched, tmp_path / "copy"))
    (copy / "index.json").write_bytes(content)
    message = find(copy, tmp_path / "neighbours")
    assert "index.json is damaged (" in message
    assert message.endswith("run the same fairseq-kd datastore again, which mends it")


def test_neighbours(data: Path, searched: Path, tmp_path: Path) -> None:
    """Their store names the command that wrote it."""
    output = tmp_path / "neighbours"
    command = ("neighbours", searched, "--subset", "train", "--k", 3, "--output", output)
    assert run(*command) == ""
    whole = content(output)
    flip(output / f"{STORE}.index")
    assert "run the same fairseq-kd neighbours again" in run(
        "cache", data, "--output", output, "--info", "--subset", "train"
    )
    assert run(*command) == ""
    assert content(output) == whole


def test_an_output_matrix(data: Path, teacher: Path, features: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(features, tmp_path / "copy"))
    flip(copy / first_matrix(copy))
    same = ("--path", teacher, "--features", "--dtype", "float32", "--cpu", "--output", copy)
    assert "is not what the store was written with; copy it again" in run(
        "cache", data, *same, "--verify"
    )
    assert run("cache", data, *same) == ""
    assert content(copy) == content(features)
