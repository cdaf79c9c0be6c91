"""The real Snakemake and the real step.sh, on steps that take no time."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.tables.locate import REPOSITORY
from kd_plugin.tables.progress import FAILED, FINISHED, State, look

if shutil.which("snakemake", path=str(Path(sys.executable).parent)) is None:
    if os.environ.get("CI") and sys.version_info >= (3, 11):
        pytest.fail("snakemake is not installed; run ./scripts/setup.sh", pytrace=False)
    pytest.skip("snakemake is not installed", allow_module_level=True)

SCRIPTS = REPOSITORY / "scripts"
STEPS: dict[str, tuple[list[str], str]] = {  # what it is after, and its commands
    "data-a": ([], "echo once >> count; echo text > text"),
    "train-b": (["data-a"], "cat text > /dev/null; echo 'it says: error: no such word' >&2; false"),
    "train-c": (["train-b"], "echo c >> count"),
    "train-d": (["data-a"], "echo {braces} >> count"),
}


def write(output: Path, steps: dict[str, tuple[list[str], str]] = STEPS) -> Path:
    made = []
    for name, (after, commands) in steps.items():
        folder = output / "steps" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.sh").write_text(f"# the step {name}\nset -euo pipefail\n{commands}\n")
        made.append({"folder": f"steps/{name}", "title": name, "share": 1,
                     "model": not name.startswith(("data", "text")),
                     "after": [f"steps/{one}" for one in after]})  # fmt: skip
    path = output / "plan.json"
    path.write_text(json.dumps({"table": "made", "scale": "paper", "data": "none", "seeds": 1,
                                "file": "", "changes": {}, "runs": [], "steps": made}))  # fmt: skip
    return path


def environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, **more}


def words(output: Path, plan: Path) -> list[str]:
    return [
        "snakemake", "--snakefile", f"{SCRIPTS}/Snakefile", "--directory", str(output),
        "--profile", str(REPOSITORY / "configs/profiles/local"), "--nolock", "--quiet", "all",
        "--config", f"plan={plan}", f"scripts={SCRIPTS}",
    ]  # fmt: skip


def run(output: Path, plan: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(output, plan), env=environment(), capture_output=True, text=True)


def test_a_failed_step_leaves_the_others_running_and_the_next_run_goes_on(tmp_path: Path) -> None:
    plan = write(tmp_path)
    assert run(tmp_path, plan).returncode == 1
    states = {name: look(tmp_path / "steps" / name) for name in STEPS}
    assert {name: state.what for name, state in states.items()} == {
        "data-a": "done", "train-b": "failed", "train-c": "left", "train-d": "done",
    }  # fmt: skip
    assert states["train-b"].said == "it says: error: no such word"
    write(tmp_path, {**STEPS, "train-b": (["data-a"], "cat text >> count")})
    done = run(tmp_path, plan)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "count").read_text().split() == ["once", "{braces}", "text", "c"]
    assert not (tmp_path / "steps" / "train-b" / "failed").exists()


def test_a_gate_that_another_table_sets_before_a_done_training_repeats_nothing(
    tmp_path: Path,
) -> None:
    train = "echo trained >> count"
    assert run(tmp_path, write(tmp_path, {"train-a": ([], train)})).returncode == 0
    gated = {"gate-b": ([], "echo gate >> count"), "train-a": (["gate-b"], train)}
    done = run(tmp_path, write(tmp_path, gated))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "count").read_text().split() == ["trained", "gate"]


def test_killed_and_started_again_it_goes_on(tmp_path: Path) -> None:
    steps = {
        "data-a": ([], "echo once >> count"),
        "train-b": (["data-a"], "echo begun >> count; [ -e go ] || exec sleep 1000"),
        "train-c": (["train-b"], "echo end >> count"),
    }
    plan, count = write(tmp_path, steps), tmp_path / "count"
    killed = subprocess.Popen(
        words(tmp_path, plan), env=environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    for _ in range(1200):
        if count.exists() and "begun" in count.read_text():
            break
        time.sleep(0.05)
    assert look(tmp_path / "steps" / "train-b").what == "running"
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (tmp_path / "go").touch()
    done = run(tmp_path, plan)
    assert done.returncode == 0, done.stderr
    assert count.read_text().split() == ["once", "begun", "begun", "end"]


def step(folder: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    call = [str(SCRIPTS / "step.sh"), folder]
    return subprocess.run(call, cwd=cwd, env=environment(**more), capture_output=True, text=True)


def test_a_step_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    write(tmp_path)
    for _ in range(2):
        assert step("steps/data-a", tmp_path).returncode == 0
    assert (tmp_path / "count").read_text() == "once\n"
    failed = step("steps/train-b", tmp_path)
    assert failed.returncode == 1
    told = "step.sh: error: the step train-b failed: no such word; the whole log: steps/train-b/log"
    assert failed.stderr == f"{told}\n"
    said = (tmp_path / "steps" / "train-b" / "failed").read_text()
    assert said == "it says: error: no such word\n"
    assert "has no run.sh; write it with fairseq-kd plan" in step("gone", tmp_path).stderr


def test_two_tables_on_one_machine_share_no_gpu(tmp_path: Path) -> None:
    both_are_there = "until [ -e ../first -a -e ../second ]; do sleep .05; done"
    train = 'echo "$CUDA_VISIBLE_DEVICES" > ../{}; ' + both_are_there
    gpus = environment(KD_GPU="1", KD_GPUS="0 1", TMPDIR=str(tmp_path))
    both: list[Any] = []
    for name in ("first", "second"):
        write(tmp_path / f"of-{name}", {"train-a": ([], train.format(name))})
        call = [str(SCRIPTS / "step.sh"), "steps/train-a"]
        both.append(subprocess.Popen(call, cwd=tmp_path / f"of-{name}", env=gpus))
    assert [one.wait(60) for one in both] == [0, 0]
    devices = {(tmp_path / name).read_text().strip() for name in ("first", "second")}
    assert devices == {"0", "1"}


FAKE = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
case "$1" in
    plan) echo "$PLAN" ;;
    progress) [ -n "${3:-}" ] || echo "failed  train-b: no such word" ;;
esac
"""


def as_at_a_prompt() -> None:
    """A shell cannot trap what it was started to ignore, as in the background of another."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start_to_reproduce(
    folder: Path, *arguments: str, script: str = "reproduce.sh", **more: str | None
) -> subprocess.Popen[str]:
    """With the real Snakemake, and a stand-in for fairseq-kd that hands out a plan."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "fairseq-kd").write_text(FAKE)
    (folder / "bin" / "fairseq-kd").chmod(0o755)
    (folder / "out").mkdir(exist_ok=True)
    path = f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {"PATH": path, "CALLS": f"{folder}/calls", "PLAN": f"{folder}/out/plan.json"}
    call = [str(SCRIPTS / script), *arguments]
    known = {k: v for k, v in {**environment(**given), **more}.items() if v is not None}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        call, cwd=folder, env=known, stdout=pipe, stderr=pipe, text=True, preexec_fn=as_at_a_prompt
    )


def reproduce(
    folder: Path, *arguments: str, script: str = "reproduce.sh", **more: str | None
) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    run = start_to_reproduce(folder, *arguments, script=script, **more)
    said, told = run.communicate()
    return subprocess.CompletedProcess(run.args, run.returncode, said, told)


def test_a_table_from_one_command(tmp_path: Path) -> None:
    good = {name: step for name, step in STEPS.items() if name in ("data-a", "train-d")}
    write(tmp_path / "out", good)
    flags = ["--data", "own.yaml", "--from", "raw", "--scale", "small", "--seeds", "2"]
    done = reproduce(tmp_path, "made", *flags, "--cores", "1", "--output", "out")
    assert done.returncode == 0, done.stderr
    plan, follow, report = (tmp_path / "calls").read_text().splitlines()
    assert plan == f"plan made {' '.join(flags)} --output {tmp_path}/out"
    assert follow == f"progress {tmp_path}/out/plan.json --follow"
    assert report == f"report {tmp_path}/out/plan.json"
    assert (tmp_path / "out" / "count").read_text().split() == ["once", "{braces}"]


def test_failed_rows_are_told_after_the_page_is_made(tmp_path: Path) -> None:
    write(tmp_path / "out")
    done = reproduce(tmp_path, "made", "--output", "out")
    assert done.returncode == 1
    assert "failed  train-b: no such word" in done.stderr
    assert "reproduce.sh: error: some steps failed, and the rows that need them" in done.stderr
    assert "report" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(
    ("visible", "devices"), [(None, ["0", "1"]), ("5,GPU-3c", ["5", "GPU-3c"])]
)
def test_each_step_that_runs_a_model_has_a_gpu_of_its_own(
    visible: str | None, devices: list[str], tmp_path: Path
) -> None:
    """Five at a time on a machine with two."""
    takes = """echo "+ $CUDA_VISIBLE_DEVICES" >> used
        until [ "$(grep -c + used)" -ge 2 ]; do sleep .05; done
        sleep .2; echo "- $CUDA_VISIBLE_DEVICES" >> used"""
    names = ("train-a", "train-b", "train-c", "translate-d")
    models: dict[str, tuple[list[str], str]] = {name: ([], takes) for name in names}
    free = 'echo "${CUDA_VISIBLE_DEVICES-all}" > free'
    write(tmp_path / "out", {**models, "text-e": ([], free)})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvidia-smi").write_text(
        '#!/usr/bin/env bash\nfor n in 0 1; do echo "GPU $n: Fake (UUID: GPU-$n)"; done\n'
    )
    (tmp_path / "bin" / "nvidia-smi").chmod(0o755)
    flags = ["--profile", "gpus", "--cores", "5", "--output", "out"]
    known: Any = {"CUDA_VISIBLE_DEVICES": visible, "TMPDIR": str(tmp_path)}
    done = reproduce(tmp_path, "made", *flags, **known)
    assert done.returncode == 0, done.stderr
    busy: set[str] = set()
    most = 0
    for line in (tmp_path / "out" / "used").read_text().splitlines():
        sign, device = line.split()
        assert (device in busy) == (sign == "-"), "two steps on one GPU"
        busy ^= {device}
        most = max(most, len(busy))
        assert device in devices
    assert most == 2
    assert not busy
    assert (tmp_path / "out" / "free").read_text().strip() == (visible or "all")


def test_small_steps_share_a_gpu(tmp_path: Path) -> None:
    takes = """echo "$CUDA_VISIBLE_DEVICES" >> used
        until [ "$(wc -l < used)" -ge 4 ]; do sleep .05; done"""
    write(tmp_path / "out", {f"train-{name}": ([], takes) for name in "abcd"})
    flags = ["--profile", "gpus", "--per-gpu", "2", "--cores", "4", "--output", "out"]
    known = {"CUDA_VISIBLE_DEVICES": "3,GPU-7", "TMPDIR": str(tmp_path)}
    done = reproduce(tmp_path, "made", *flags, **known)
    assert done.returncode == 0, done.stderr
    used = (tmp_path / "out" / "used").read_text().split()
    assert sorted(used) == ["3", "3", "GPU-7", "GPU-7"]


def test_a_study_whose_time_is_over_goes_on_in_the_next_call(tmp_path: Path) -> None:
    """Two tables, which are the same here: the first one makes all, the second finds it made."""
    steps = {
        "data-a": ([], "echo once >> count"),
        "train-b": (["data-a"], "echo $$ > process; [ -e go ] || exec sleep 1000"),
        "train-c": (["train-b"], "echo end >> count"),
    }
    write(tmp_path / "out", steps)
    study = ["first", "second", "--output", "out", "--seeds", "2"]
    ended = reproduce(tmp_path, *study, "--minutes", "0.2", script="study.sh")
    assert ended.returncode == 75, ended.stderr
    told = "study.sh: 0.2 minutes are over; run the same command again to go on"
    assert ended.stderr.splitlines()[-1] == told
    out, calls = tmp_path / "out", tmp_path / "calls"
    assert not Path("/proc", (out / "process").read_text().strip()).exists()
    assert look(out / "steps" / "train-b").what not in ("running", "failed")
    planned = f"plan first --seeds 2 --output {out}"
    assert [line for line in calls.read_text().splitlines() if "progress" not in line] == [
        planned, f"report {out}/plan.json",
    ]  # fmt: skip
    (out / "go").touch()
    calls.unlink()
    done = reproduce(tmp_path, *study, script="study.sh")
    assert done.returncode == 0, done.stderr
    assert (out / "count").read_text().split() == ["once", "end"]
    plans = [line for line in calls.read_text().splitlines() if line.startswith("plan")]
    assert plans == [planned, planned.replace("first", "second")]


def test_no_gpu_is_refused(tmp_path: Path) -> None:
    done = reproduce(tmp_path, "made", "--profile", "gpus", CUDA_VISIBLE_DEVICES="")
    assert "nvidia-smi lists no GPU, or CUDA_VISIBLE_DEVICES hides them" in done.stderr


CANCELLED = """
Error in rule train-b:
    message: SLURM-job '9' failed, SLURM status is: 'CANCELLED'. Detailed failure (no).For further
    jobid: 2
Error in rule train-d:
    message: None
    jobid: 3
Error in rule data-a:
    message: told by the step, too
"""
COMMANDS = {  # stand-ins; a cluster with two partitions
    "sbatch": "",
    "python": "",  # that finds the plugin
    "sinfo": "case \"$*\" in *gone*) ;; *cpu*) echo 'cpu (null)' ;; "
    "*) printf '%s\\n' 'cpu (null)' 'big* gpu:a100:4(S:0-1)' ;; esac",
    "scancel": 'echo "scancel $*" >> "$CALLS"',
    "snakemake": f'echo "snakemake $*" >> "$CALLS"; echo "SLURM run ID: a-1{CANCELLED}"; exit 1',
}


def on_a_cluster(folder: Path, partition: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With stand-ins for SLURM and Snakemake, and a profile that names a partition."""
    write(folder / "out")
    (folder / "bin").mkdir()
    for name, commands in COMMANDS.items():
        (folder / "bin" / name).write_text(f"#!/usr/bin/env bash\n{commands}\n")
        (folder / "bin" / name).chmod(0o755)
    given = (REPOSITORY / "configs/profiles/slurm/config.yaml").read_text()
    (folder / "mine").mkdir()
    (folder / "mine" / "config.yaml").write_text(given + partition)
    return reproduce(folder, "made", "--output", "out", "--profile", "mine", *arguments)


@pytest.mark.parametrize(
    ("partition", "gpu"), [("", "models"), ("  slurm_partition: 'cpu' # mine\n", "none")]
)
def test_slurm_gives_gpus_where_it_has_some(partition: str, gpu: str, tmp_path: Path) -> None:
    on_a_cluster(tmp_path, partition, "--cores", "3")
    (sent,) = re.findall("snakemake .*", (tmp_path / "calls").read_text())
    assert f" gpu={gpu} " in sent
    assert " --jobs 3 " in sent
    assert f" --slurm-logdir {tmp_path}/out/slurm " in sent


def test_a_job_that_left_no_word_is_shown_as_failed(tmp_path: Path) -> None:
    (tmp_path / "out/steps/data-a").mkdir(parents=True)
    (tmp_path / "out/steps/data-a/failed").write_text("error: its own\n")
    assert on_a_cluster(tmp_path, "").returncode == 1
    said = {name: look(tmp_path / "out/steps" / name).said for name in ("train-b", "train-d")}
    assert said == {
        "train-b": "SLURM-job '9' failed, SLURM status is: 'CANCELLED'.",
        "train-d": "its job ended without a word",
    }
    assert (tmp_path / "out/steps/data-a/failed").read_text() == "error: its own\n"
    assert "scancel --name a-1" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_runs_ends_with_the_script(number: int, tmp_path: Path) -> None:
    """However it ends; and the next call goes on."""
    sleeps = 'echo "$$" >> pids; [ -e go ] || exec sleep 1000'
    write(tmp_path / "out", {name: ([], sleeps) for name in ("train-a", "text-b")})
    pids = tmp_path / "out" / "pids"
    script = start_to_reproduce(tmp_path, "made", "--output", "out")
    while not pids.exists() or len(pids.read_text().split()) < 2:
        assert script.poll() is None, script.communicate()
        time.sleep(0.05)
    script.send_signal(number)
    said = script.communicate()[1]
    assert script.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert said.endswith("stopped; run the same command again to go on\n")
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # where it was killed, a moment later
    (tmp_path / "out" / "go").touch()
    while "works in" in (again := reproduce(tmp_path, "made", "--output", "out")).stderr:
        time.sleep(0.05)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("before", ["", "trap '' TERM; "])
def test_what_is_killed_at_once_leaves_nothing_running(before: str, tmp_path: Path) -> None:
    """Before its guard has seen what it started, and where that does not end by a signal."""
    script, pid = tmp_path / "script.sh", tmp_path / "pid"
    started = f'child bash -c "{before}echo \\$\\$ > pid; exec sleep 1000"'
    script.write_text(f". {REPOSITORY}/scripts/common.sh; guard; sleep 0.3; {started}")
    run = subprocess.Popen(["bash", script], cwd=tmp_path)
    while not pid.exists() or not pid.read_text():
        time.sleep(0.01)
    run.kill()
    run.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid.read_text().strip()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_snakemake_steps_run_in_order(tmp_path: Path) -> None:
    """As on Python 3.10: a failed one leaves those that do not need it running."""
    write(tmp_path / "out")
    for name in ("python", "bash", "env"):
        where = sys.executable if name == "python" else str(shutil.which(name))
        (tmp_path / name).symlink_to(where)
    path = f"{tmp_path}/bin:{tmp_path}:/usr/bin:/bin"
    done = reproduce(tmp_path, "made", "--output", "out", PATH=path)
    assert done.returncode == 1
    assert "failed  train-b: no such word" in done.stderr
    assert (tmp_path / "out" / "count").read_text().split() == ["once", "{braces}"]
    write(tmp_path / "out", {**STEPS, "train-b": (["data-a"], "cat text >> count")})
    done = reproduce(tmp_path, "made", "--output", "out", PATH=path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "count").read_text().split() == ["once", "{braces}", "text", "c"]
    refused = reproduce(tmp_path, "made", "--profile", "slurm", PATH=path).stderr
    assert "snakemake is not installed; type: pip install 'kd-plugin[tables]'" in refused


def test_a_partition_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = on_a_cluster(tmp_path, "  slurm_partition: gone\n")
    assert "SLURM has no partition gone; sinfo lists them" in done.stderr


def test_which_steps_ask_for_a_gpu(tmp_path: Path) -> None:
    """Snakemake itself says what it would give."""
    plan = write(tmp_path, {name: ([], "") for name in ("text-a", "translate-b", "train-c")})
    for who, expected in (("none", []), ("models", ["train-c", "translate-b"])):
        call = [word for word in words(tmp_path, plan) if word not in ("--quiet", "all")]
        call += [f"gpu={who}", "--dry-run", "--resources", "gpu=1"]
        told = subprocess.run(call, env=environment(), capture_output=True, text=True).stdout
        asked = re.findall(r"rule ([\w-]+):\n(?:    .*\n)*?    resources: .*\bgpu=1", told)
        assert sorted(asked) == expected, told


def test_a_job_waits_for_an_earlier_one_and_is_told_when_it_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, {"train-a": ([], "echo begun >> count; until [ -e go ]; do sleep .05; done")})
    call, log = [str(SCRIPTS / "step.sh"), "steps/train-a"], tmp_path / "steps/train-a/log"
    first, second = (
        subprocess.Popen(call, cwd=tmp_path, env=environment(SLURM_JOB_ID=job)) for job in "45"
    )
    while not (tmp_path / "count").exists():
        time.sleep(0.05)
    job = log.read_text().split()[-1]
    running, waiting = (first, second) if job == "4" else (second, first)
    assert look(log.parent).said == f"SLURM job {job}"
    running.terminate()
    assert running.wait(60) == 143
    while (tmp_path / "count").read_text() != "begun\nbegun\n":
        time.sleep(0.05)
    waiting.terminate()
    assert waiting.wait(60) == 143
    why = f"SLURM job {9 - int(job)} was ended from outside: cancelled, or its time was over"
    assert look(log.parent) == State(FAILED, 0, why)
    assert log.read_text().splitlines()[-1] == why
    (tmp_path / "go").touch()
    assert step("steps/train-a", tmp_path, SLURM_JOB_ID="6").returncode == 0
    assert look(log.parent).what == FINISHED


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("reproduce.sh", "give TABLE; see --help"),
        ("reproduce.sh toy --profile my", "--profile my is unknown; give local, gpus, slurm or"),
        ("reproduce.sh toy --output calls", "--output calls is a file; name a folder"),
        ("reproduce.sh toy --loud", "unknown argument --loud; see --help"),
        ("reproduce.sh toy --seeds", "--seeds needs a value"),
        ("reproduce.sh toy --per-gpu 2", "--per-gpu is of --profile gpus; give that, or --cores"),
        ("reproduce.sh toy --minutes 0", "--minutes 0 is no time; give 10 or 0.5"),
        ("study.sh", "give TABLE; see --help"),
        ("study.sh toy --cores 3", "--cores is chosen here; give --side-by-side"),
        ("study.sh toy --minutes soon", "--minutes soon is no time"),
        ("study.sh toy --side-by-side none", "--side-by-side none is no count"),
    ],
)
def test_what_is_refused(call: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "calls").touch()
    script, *arguments = call.split()
    done = reproduce(tmp_path, *arguments, script=script)
    assert done.returncode == 1
    assert said in done.stderr
