"""How far a table is, read from the files of its steps."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.tables.progress import (
    FAILED,
    FINISHED,
    LEFT,
    RUNNING,
    State,
    duration,
    events,
    look,
    running,
    seconds_left,
    summary,
)  # fmt: skip


def a_step(name: str, share: float = 1, after: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"folder": f"steps/{name}", "title": name, "share": share, "model": False,
            "after": [f"steps/{one}" for one in after]}  # fmt: skip


STEPS = [
    a_step("data-1", 2),
    a_step("train-1", 4, ("data-1",)),
    a_step("train-2", 4, ("data-1",)),
    a_step("text-1", 2, ("train-1",)),
    a_step("score-1", 1, ("text-1",)),
]


def states(**known: State) -> dict[str, State]:
    named = {name.replace("_", "-"): state for name, state in known.items()}
    return {s["folder"]: named.get(s["title"], State(LEFT)) for s in STEPS}


def test_states_of_a_folder(tmp_path: Path) -> None:
    assert look(tmp_path).what == LEFT
    (tmp_path / "began").touch()
    os.utime(tmp_path / "began", (1000, 1000))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "train.log").write_text("| num_updates 1200 |\nnum_updates=1300, lr=1\n")
    assert look(tmp_path).what == LEFT  # what was killed
    with open(tmp_path / ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert look(tmp_path, 1030) == State(RUNNING, 30, "update 1,300")
        (tmp_path / "began").write_text("SLURM job 12\n")
        assert look(tmp_path).said == "SLURM job 12, update 1,300"
        assert look(tmp_path).whole is None
        (tmp_path / "model" / "train.log").write_text(
            "{'optimization': {'max_update': 2000}}\nups=1, num_updates=1200, lr=1\n"
            "loss=3, ups=2.5, wpb=9, num_updates=1300, lr=1\n"
        )
        assert (look(tmp_path).whole, look(tmp_path).rest) == (800, 280)
        (tmp_path / "model" / "train.log").unlink()
        (tmp_path / "log").write_text("begun\n  3%|#  | 1/30\r 17%|##  | 5/30")
        assert look(tmp_path).said == "SLURM job 12, a command 17%"
        (tmp_path / "log").write_text("begun\n 17%|##  | 5/30\r100%|####| 30/30\n")
        assert look(tmp_path).said == "SLURM job 12"
        (tmp_path / "failed").write_text("error: no\n")
        assert look(tmp_path) == State(FAILED, 0, "error: no")  # its last children still end
    assert look(tmp_path) == State(FAILED, 0, "error: no")
    (tmp_path / "complete").write_text("17\n")
    assert look(tmp_path) == State(FINISHED, 17)


def test_what_is_left_is_estimated_by_kind_and_share() -> None:
    assert seconds_left(STEPS, states()) is None
    first = states(data_1=State(FINISHED, 20))
    assert seconds_left(STEPS, first) == 40 + 40 + 20 + 10
    # 40 s of the second training are known from the first, and 15 of them are over
    later = states(
        data_1=State(FINISHED, 20), train_1=State(FINISHED, 40), train_2=State(RUNNING, 15)
    )
    assert seconds_left(STEPS, later) == 25 + 20 + 10
    both = states(data_1=State(FINISHED, 20), train_1=State(RUNNING), train_2=State(RUNNING))
    assert seconds_left(STEPS, both) == (40 + 40 + 20 + 10) / 2


def test_what_is_left_follows_the_speed_of_a_training_that_runs() -> None:
    # resumed: 60 s of this start, 400 in all, 300 from now on; the other training takes 400, too
    resumed = states(data_1=State(FINISHED, 20), train_1=State(RUNNING, 60, "", 400.0, 300.0))
    assert seconds_left(STEPS, resumed) == pytest.approx(300 + 400 + (20 + 400) * 3 / 6)


def test_nothing_is_estimated_from_a_small_part() -> None:
    steps = [a_step("data-1"), *(a_step(f"train-{n}", 4) for n in range(3))]
    done = {s["folder"]: State(LEFT) for s in steps} | {"steps/data-1": State(FINISHED, 3)}
    assert seconds_left(steps, done) is None
    assert summary(steps, done) == "1 of 4 steps done"


def test_steps_behind_a_failed_one_are_not_waited_for() -> None:
    failed = states(data_1=State(FINISHED, 20), train_1=State(FAILED))
    assert seconds_left(STEPS, failed) == 40
    assert summary(STEPS, failed) == "1 of 5 steps done, 1 failed, about 40 s left"


@pytest.mark.parametrize(("seconds", "words"), [(89, "89 s"), (90, "2 min"), (5400, "1.5 h")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_events_and_what_runs() -> None:
    before = states(data_1=State(RUNNING))
    after = states(data_1=State(FINISHED, 18), train_1=State(FAILED, 0, "no such word"),
                   train_2=State(RUNNING, 3, "update 7"))  # fmt: skip
    assert list(events(STEPS, before, after)) == [
        ("steps/data-1", "done: data-1, 18 s (1 of 5 steps done, 1 failed, about 33 s left)"),
        ("steps/train-1", "failed: train-1: no such word"),
        ("steps/train-2", "begins: train-2: update 7"),
    ]
    assert list(events(STEPS, after, after)) == []
    again = after | states(train_1=State(FAILED, 0, "another word"), train_2=after["steps/train-2"],
                           data_1=after["steps/data-1"])  # fmt: skip
    assert [line for _, line in events(STEPS, after, again)] == ["failed: train-1: another word"]
    left = "1 of 5 steps done, 1 failed, about 33 s left"
    assert running(STEPS, after) == f"train-2 (3 s, update 7); {left}"
    assert running(STEPS, before | {"steps/data-1": State(LEFT)}) == ""


def test_the_command_lists_every_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from .test_engine import write

    plan = write(tmp_path / "out")
    folder = plan.parent / "made"
    folder.mkdir()
    plan.rename(folder / "plan.json")
    (tmp_path / "out/steps/data-a/complete").write_text("3\n")
    cli.main(["progress", str(folder / "plan.json")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["done", "3", "s", "data-a", "(steps/data-a)"]
    assert lines[1].split() == ["left", "train-b", "(steps/train-b)"]
    assert lines[-1] == "made, paper, none: 1 of 4 steps done, about 9 s left"
    (folder / "plan.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"plan\.json is damaged .*write it with fairseq-kd plan"):
        cli.main(["progress", str(folder / "plan.json")])


def test_following_ends_when_all_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kd_plugin.tables.follow import follow

    folders = [tmp_path / step["folder"] for step in STEPS]
    for folder in folders:
        folder.mkdir(parents=True)

    def one_more(seconds: float) -> None:
        (folders.pop(0) / "complete").write_text("1\n")

    monkeypatch.setattr(time, "sleep", one_more)
    follow({"steps": STEPS, "runs": []}, tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "[0 min] done: data-1, 1 s (1 of 5 steps done, about 6 s left)"
    assert told[-1] == "[0 min] done: score-1, 1 s (5 of 5 steps done)"


def test_following_shows_the_end_of_a_log_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kd_plugin.tables.follow import follow

    folder = tmp_path / STEPS[0]["folder"]
    folder.mkdir(parents=True)
    (folder / "log").write_text("".join(f"line {n}\n" for n in range(40)) + "x" * 400 + "\n")

    def fail(seconds: float) -> None:
        if (folder / "failed").exists():
            raise KeyboardInterrupt  # Ctrl-C
        (folder / "began").touch()
        (folder / "failed").write_text("error: no\n")

    monkeypatch.setattr(time, "sleep", fail)
    with pytest.raises(KeyboardInterrupt):
        follow({"steps": STEPS, "runs": []}, tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["[0 min] failed: data-1: error: no", f"--- the end of {folder}/log:"]
    assert told[2:] == [*(f"line {n}" for n in range(26, 40)), "x" * 300, "---"]
