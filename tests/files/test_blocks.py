"""A file in blocks: whatever happens in between, its bytes are those of an undisturbed run."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.errors import InputError
from kd_plugin.files.blocks import BlockWriter, manifest_path, read_manifest
from kd_plugin.files.whole import difference

BLOCKS = [b"one", b"", b"three\n", b"\x00four", b"five"]
SETTINGS = {"beam": 5, "subset": "train"}


def write(path: Path, upto: int = len(BLOCKS), finish: bool = True) -> list[int]:
    """Write the blocks that are missing; return which."""
    written = []
    with BlockWriter(path, SETTINGS) as writer:
        for number in range(len(writer.notes), upto):
            writer.write(BLOCKS[number], {"number": number})
            written.append(number)
        assert list(writer.blocks()) == BLOCKS[: len(writer.notes)]
        assert [note["number"] for note in writer.notes] == list(range(len(writer.notes)))
        if finish:
            writer.finish({"blocks": len(writer.notes)})
    return written


def assert_finished(path: Path) -> None:
    assert path.read_bytes() == b"".join(BLOCKS)
    assert read_manifest(path) == {"blocks": len(BLOCKS)}
    assert {file.name for file in path.parent.iterdir()} == {path.name, manifest_path(path).name}


def test_an_undisturbed_run(tmp_path: Path) -> None:
    assert write(tmp_path / "deep" / "file") == [0, 1, 2, 3, 4]
    assert_finished(tmp_path / "deep" / "file")


@pytest.mark.parametrize("upto", range(6))
def test_stopped_after_a_block(tmp_path: Path, upto: int) -> None:
    write(tmp_path / "file", upto, finish=False)
    assert read_manifest(tmp_path / "file") is None
    assert write(tmp_path / "file") == list(range(upto, 5))
    assert_finished(tmp_path / "file")


def cut(name: str, size: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) - size])

    return damage


def add(name: str, more: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes() + more)

    return damage


def flip(folder: Path) -> None:
    content = bytearray((folder / "file.part").read_bytes())
    content[-1] ^= 1
    (folder / "file.part").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "redone"),
    [
        (add("file.part", b"half a bl"), [4]),
        (add("file.journal", b'{"end": 99, "sha'), [4]),
        (cut("file.part", 2), [3, 4]),
        (cut("file.journal", 1), [3, 4]),
        (flip, [3, 4]),
        (lambda folder: (folder / "file.part").unlink(), [0, 1, 2, 3, 4]),
        (lambda folder: (folder / "file.journal").unlink(), [0, 1, 2, 3, 4]),
        (cut("file.journal", 10_000), [0, 1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_killed_within_a_block(
    tmp_path: Path, damage: Callable[[Path], None], redone: list[int]
) -> None:
    write(tmp_path / "file", 4, finish=False)
    damage(tmp_path)
    assert write(tmp_path / "file") == redone
    assert_finished(tmp_path / "file")


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{}", b"[]", b"\xff", b'{"end": -1, "sha256": "", "note": {}}',
        b'{"end": 1' + b"0" * 30 + b', "sha256": "' + b"0" * 64 + b'", "note": {}}',
        b'{"end": 1' + b"0" * 12 + b', "sha256": "' + b"0" * 64 + b'", "note": {}}',
        b'{"end": "8", "sha256": "' + b"0" * 64 + b'", "note": {}}', b"[" * 99999,
    ],
)  # fmt: skip
def test_a_line_of_the_journal_that_is_none(tmp_path: Path, line: bytes) -> None:
    """What stands behind it is done again."""
    write(tmp_path / "file", 4, finish=False)
    journal = tmp_path / "file.journal"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:3], line, *lines[3:]]))
    assert write(tmp_path / "file") == [2, 3, 4]
    assert_finished(tmp_path / "file")


@pytest.mark.parametrize("line", [b"", b"{}", b"5", b'{"settings": 5}', b'{"settings": "["}'])
def test_a_journal_of_nothing(tmp_path: Path, line: bytes) -> None:
    """The message says what to remove, and that helps."""
    write(tmp_path / "file", 4, finish=False)
    journal = tmp_path / "file.journal"
    journal.write_bytes(line + b"\n" + journal.read_bytes())
    with pytest.raises(InputError, match=r"file\.journal is damaged \(.*\); remove it to begin"):
        write(tmp_path / "file")
    journal.unlink()
    assert write(tmp_path / "file") == [0, 1, 2, 3, 4]
    assert_finished(tmp_path / "file")


def test_killed_between_the_move_and_the_manifest(tmp_path: Path) -> None:
    write(tmp_path / "file", 5, finish=False)
    (tmp_path / "file.part").rename(tmp_path / "file")
    assert write(tmp_path / "file") == []
    assert_finished(tmp_path / "file")


def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="file exists and has no manifest that says what it is"):
        write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_other_settings_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", 2, finish=False)
    with pytest.raises(InputError, match="was begun with beam 5 and this command says 4; repeat"):
        BlockWriter(tmp_path / "file", {**SETTINGS, "beam": 4})
    assert write(tmp_path / "file") == [2, 3, 4]


DIFFERENCES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"search": {"beam": 5}}, {"search": {"beam": 4}}, "search.beam 5 and this command says 4"),
    ({"teacher_sha256": ["a" * 64]}, {}, "another teacher than this command says"),
    (
        {"dictionary_sha256": {"de": "b" * 64}},
        {"dictionary_sha256": {"de": None}},
        "another dictionary (de) than this command says",
    ),
    (
        {"record": [["ids", "u2", 8]]},
        {"record": [["ids", "u2", 4]]},
        "k 8 and this command says 4",
    ),
]


@pytest.mark.parametrize(("theirs", "ours", "words"), DIFFERENCES)
def test_a_difference_is_told_in_words(
    theirs: dict[str, Any], ours: dict[str, Any], words: str
) -> None:
    assert difference(theirs, {**theirs}) is None
    assert difference(theirs, ours) == words


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with BlockWriter(tmp_path / "file", SETTINGS) as writer:
        with pytest.raises(InputError, match="is being written by another process"):
            BlockWriter(tmp_path / "file", SETTINGS)
        writer.write(BLOCKS[0], {"number": 0})
    assert write(tmp_path / "file") == [1, 2, 3, 4]
    assert_finished(tmp_path / "file")


def fill_the_disk(path: Path, answer: multiprocessing.queues.Queue[str]) -> None:
    """Under a limit of file size that the third block meets."""
    write(path, 2, finish=False)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (path.with_name("file.part").stat().st_size + 2, hard)
    )
    try:
        write(path)
    except InputError as error:
        answer.put(str(error))


def test_a_full_disk_costs_nothing_that_was_finished(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=fill_the_disk, args=(tmp_path / "file", answer))
    process.start()
    message = answer.get(timeout=60)
    process.join()
    assert "2 blocks are safe: make room and run the same command again" in message
    assert write(tmp_path / "file") == [2, 3, 4]
    assert_finished(tmp_path / "file")
