"""What exists is never touched, what fails leaves nothing, and two do not write one thing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from kd_plugin.errors import InputError
from kd_plugin.files.blocks import BlockWriter
from kd_plugin.files.output import new_file, new_folder
from kd_plugin.files.whole import write_json


def make_folder(path: Path) -> None:
    with new_folder(path) as part:
        (part / "a").write_text("whole")


def make_file(path: Path) -> None:
    with new_file(path) as part:
        part.write_text("whole")


MAKERS = pytest.mark.parametrize("make", [make_folder, make_file])


@MAKERS
def test_what_is_made_is_all_there_is(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "deep" / "out")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


@MAKERS
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_exists_is_refused_and_kept(make, kind: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
        (path / "mine").write_text("mine")
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"--output .*out (exists|is a link to nothing); "):
        make(path)
    assert os.listdir(tmp_path) == ["out"]
    assert kind != "file" or path.read_text() == "mine"
    assert kind != "folder" or (path / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["out.part", ".out.part", "out.toy", "out.download"])
def test_neighbours_with_likely_names_are_kept(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").write_text("mine")
    make_folder(tmp_path / "out")
    assert (tmp_path / name / "mine").read_text() == "mine"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "out") as part:
            (part / "a").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not os.listdir(tmp_path)


def test_a_replaced_file_must_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with new_file(path, replace=True) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(InputError, match="exists; give another"),
        new_file(tmp_path / "folder", replace=True),
    ):
        pass


@pytest.mark.parametrize("parent", ["a file", "/proc/nowhere"])
def test_places_that_cannot_be_written(parent: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("mine")
    folder = tmp_path / parent  # an absolute parent stands for itself
    for make in (make_folder, make_file):
        with pytest.raises(InputError, match=r"cannot be written: .*; give another place"):
            make(folder / "out")
    with pytest.raises(InputError, match="cannot be written"):
        BlockWriter(folder / "out", {})
    with pytest.raises(InputError, match=r"--json .* cannot be written"):
        write_json(folder / "out.json", {})


def hold(path: Path, ready: multiprocessing.synchronize.Event) -> None:
    with new_folder(path) as part:
        (part / "half").write_text("half")
        ready.set()
        time.sleep(60)


def test_a_second_process_is_refused_and_a_killed_one_is_cleared_away(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "out", ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(InputError, match="is being written by another process; wait for it"):
        make_folder(tmp_path / "out")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    make_folder(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["a"]


def test_a_file_that_another_process_finished_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with BlockWriter(path, {"beam": 5}) as writer:
        writer.write(b"theirs", None)
        writer.finish({"settings": {"beam": 5}})
    with pytest.raises(InputError, match="was finished by another process just now"):
        BlockWriter(path, {"beam": 1})
    assert path.read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["file", "file.manifest.json"]
