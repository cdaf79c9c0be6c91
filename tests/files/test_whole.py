"""Files that are written whole or not at all."""

import fcntl
import os
from pathlib import Path

from kd_plugin.files.whole import write_atomically


def part_of(path: Path, pid: int) -> Path:
    return path.with_name(f".{path.name}.{pid}.kd-part")


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "a[1].json"
    for pid in (os.getpid(), 999_999_999):  # in a container, pids come again
        part_of(path, pid).write_text("half")
    stranger = tmp_path / ".a1.json.7.kd-part"
    stranger.write_text("of another file")
    write_atomically(path, "whole")
    assert path.read_text() == "whole"
    assert sorted(tmp_path.iterdir()) == sorted([path, stranger])


def test_what_a_living_writer_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with open(part_of(path, 999_999_999), "wb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        write_atomically(path, b"mine")
        assert part_of(path, 999_999_999).exists()
    assert path.read_bytes() == b"mine"
