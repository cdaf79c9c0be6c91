"""The real scripts, with stand-ins on PATH for the commands that train and decode."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(p.name for p in (ROOT / "scripts").glob("*.sh") if p.name != "common.sh")

# One write for a whole call: two ranks write at the same time.
FAKE = """#!/usr/bin/env bash
printf '%s\\n' "$(basename "$0")$(printf ' %q' "$@")" >> "$CALLS"
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Where the stand-ins of fairseq-train and fairseq-kd write how they were called."""
    (tmp_path / "fake").mkdir()
    for name, more in (
        ("fairseq-train", 'echo what the training said last; exit "${TRAIN_RC:-0}"'),
        ("fairseq-kd", ":"),
    ):
        path = tmp_path / "fake" / name
        path.write_text(FAKE + more + "\n")
        path.chmod(0o755)
    return tmp_path / "calls"


def run(
    name: str, *arguments: object, calls: Path, **extra: str
) -> subprocess.CompletedProcess[str]:
    path = f"{calls.parent / 'fake'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "CALLS": str(calls),
        "VIRTUAL_ENV": sys.prefix,
        **extra,
    }
    command = [str(ROOT / "scripts" / name), *map(str, arguments)]
    return subprocess.run(
        command, cwd=calls.parent, env=environment, capture_output=True, text=True, timeout=300
    )


def called(calls: Path, name: str) -> list[list[str]]:
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [line.split()[1:] for line in lines if line.split()[0] == name]


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_the_header(name: str, calls: Path) -> None:
    done = run(name, "--help", calls=calls)
    assert done.returncode == 0, done.stderr
    assert f"usage: ./scripts/{name}" in done.stdout
    assert f"example: ./scripts/{name}" in done.stdout
    assert "set -euo" not in done.stdout
    assert "shellcheck" not in done.stdout
    assert not calls.exists()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.args"
    path.write_text("# Values of ours.\n--arch tiny  # small\n--adam-betas '(0.9,0.98)'\n")
    return path


def test_train_passes_the_models_flags_and_ours(calls: Path, model: Path, tmp_path: Path) -> None:
    save = tmp_path / "save"
    done = run("train.sh", "DATA", save, model, "--seed", 3, calls=calls)
    assert done.returncode == 0, done.stderr
    (command,) = called(calls, "fairseq-train")
    assert command[:3] == ["DATA", "--user-dir", str(ROOT / "kd_plugin")]
    assert command[-5:] == ["--adam-betas", r"\(0.9\,0.98\)", "--seed", "3", "--cpu"]
    assert command.index("--criterion") < command.index("--arch")
    assert (save / "done").exists()
    assert run("train.sh", "DATA", save, model, "--seed", 3, calls=calls).returncode == 0
    assert len(called(calls, "fairseq-train")) == 1  # done is done
    other = run("train.sh", "DATA", save, model, "--seed", 4, calls=calls)
    assert other.returncode == 1
    assert other.stderr == (
        f"train.sh: error: {save} was trained by another command (there: 3, here: 4); "
        "give another folder, or remove it\n"
    )


def test_a_training_that_fails_is_not_done(calls: Path, model: Path, tmp_path: Path) -> None:
    done = run("train.sh", "DATA", tmp_path / "save", model, calls=calls, TRAIN_RC="3")
    assert done.returncode == 1
    assert "train.sh: error: training failed; the whole log:" in done.stderr
    assert "what the training said last" in done.stderr
    assert not (tmp_path / "save" / "done").exists()
    assert run("train.sh", "DATA", tmp_path / "save", model, calls=calls).returncode == 0


def test_of_a_training_that_is_refused_the_refusal_alone_is_told(
    calls: Path, model: Path, tmp_path: Path
) -> None:
    fake = calls.parent / "fake" / "fairseq-train"
    fake.write_text(FAKE + "echo configuration; echo 'fairseq-train: error: --lr x: no'; exit 1\n")
    done = run("train.sh", "DATA", tmp_path / "save", model, calls=calls)
    log = tmp_path / "save" / "train.log"
    assert done.stderr == f"train.sh: error: training failed: --lr x: no; the whole log: {log}\n"


@pytest.mark.parametrize("place", ["/proc/none", "file"])
def test_a_folder_that_cannot_be_made_is_refused_in_one_line(
    place: str, calls: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = run("train.sh", "DATA", tmp_path / place, model, calls=calls)
    assert done.stderr == (
        f"train.sh: error: {tmp_path / place} is no folder that can be written, and none can be "
        "made there; give another one\n"
    )


def test_a_model_file_that_is_missing_or_empty_is_refused_once(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.args").write_text("# nothing\n")
    for name, rule in (("gone.args", "does not exist"), ("empty.args", "holds no flags")):
        done = run("train.sh", "DATA", tmp_path / "save", tmp_path / name, calls=calls)
        assert done.stderr == (
            f"train.sh: error: {tmp_path / name} {rule}; name a file of configs/models\n"
        )


def test_what_was_stopped_before_it_was_marked_done_trains_no_more(
    calls: Path, model: Path, tmp_path: Path
) -> None:
    fake = calls.parent / "fake" / "fairseq-train"
    fake.write_text(FAKE + "echo 'INFO | fairseq_cli.train | done training in 3.1 seconds'\n")
    save = tmp_path / "save"
    for flags in ((), (), ("--max-update", 9)):
        assert run("train.sh", "DATA", save, model, *flags, calls=calls).returncode == 0
        (save / "done").unlink()
    assert len(called(calls, "fairseq-train")) == 2  # the other flags go on from there


def test_ranks_on_a_cpu_are_processes(calls: Path, model: Path, tmp_path: Path) -> None:
    done = run("train.sh", "DATA", tmp_path / "save", model, "--ranks", 2, "--seed", 1, calls=calls)
    assert done.returncode == 0, done.stderr
    first, second = sorted(
        called(calls, "fairseq-train"), key=lambda c: c[c.index("--distributed-rank") + 1]
    )
    for rank, command in enumerate((first, second)):
        assert command[command.index("--distributed-rank") + 1] == str(rank)
        assert command[command.index("--distributed-world-size") + 1] == "2"
        assert "--distributed-no-spawn" in command
    where = "--distributed-init-method"
    assert first[first.index(where) + 1] == second[second.index(where) + 1]


def test_a_rank_that_fails_ends_the_others(calls: Path, model: Path, tmp_path: Path) -> None:
    fake = calls.parent / "fake" / "fairseq-train"
    fake.write_text(
        '#!/usr/bin/env bash\n[[ " $* " != *"-rank 1 "* ]] || exit 3\nexec sleep 1000\n'
    )
    done = run("train.sh", "DATA", tmp_path / "save", model, "--ranks", 2, calls=calls)
    assert done.returncode == 1
    assert "training failed; the whole log:" in done.stderr


SLEEPS = """#!/usr/bin/env bash
echo $$ >> "$CALLS.pids"
exec sleep 1000
"""


def start(name: str, *arguments: object, calls: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PATH": f"{calls.parent / 'fake'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "VIRTUAL_ENV": sys.prefix,
        "KD_QUIET": "1",
    }
    command = [str(ROOT / "scripts" / name), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=as_at_a_prompt
    )


def as_at_a_prompt() -> None:
    """A shell cannot trap what it was started to ignore, as in the background of another."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def wait_for(path: Path, lines: int = 1) -> list[int]:
    """The processes whose numbers stand in a file."""
    for _ in range(600):
        if path.exists() and len(path.read_text().split()) >= lines:
            return [int(pid) for pid in path.read_text().split()]
        time.sleep(0.05)
    raise TimeoutError(path)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_training_ends_with_its_script(
    number: int, ranks: int, calls: Path, model: Path, tmp_path: Path
) -> None:
    (calls.parent / "fake" / "fairseq-train").write_text(SLEEPS)
    script = start("train.sh", "DATA", tmp_path / "save", model, "--ranks", ranks, calls=calls)
    pids = wait_for(Path(f"{calls}.pids"), ranks)
    script.send_signal(number)
    _, said = script.communicate(timeout=30)
    assert script.returncode == 128 + number
    assert "train.sh: stopped; run the same command again to go on" in said
    assert not any(is_alive(pid) for pid in pids)


def test_a_stop_is_told_once(calls: Path, tmp_path: Path) -> None:
    """By the script that was typed, not by those that it calls."""
    inner, outer = tmp_path / "inner.sh", tmp_path / "outer.sh"
    for path, body in ((inner, SLEEPS), (outer, f"child {inner}")):
        body = body.removeprefix("#!/usr/bin/env bash\n").replace("exec", "child")
        path.write_text(f"#!/usr/bin/env bash\n. {ROOT}/scripts/common.sh\n{body}\n")
        path.chmod(0o755)
    script = start(str(outer), calls=calls)
    pids = wait_for(Path(f"{calls}.pids"))
    script.send_signal(signal.SIGTERM)
    _, said = script.communicate(timeout=30)
    assert said == "outer.sh: stopped; run the same command again to go on\n"
    while any(is_alive(pid) for pid in pids):  # the inner one ends by itself, a moment later
        time.sleep(0.05)


def test_a_refusal_leaves_no_folder(tmp_path: Path, calls: Path) -> None:
    script = tmp_path / "refused.sh"
    script.write_text(
        f'#!/usr/bin/env bash\n. {ROOT}/scripts/common.sh\nlock "$1"\n${{2:-true}}\ndie no\n'
    )
    script.chmod(0o755)
    for folder, keep in ((tmp_path / "new", False), (tmp_path / "old", True)):
        if keep:
            folder.mkdir()
            (folder / "file").write_text("data")
        assert run(str(script), folder, calls=calls).returncode == 1
        assert folder.exists() == keep


def test_two_processes_do_not_train_in_one_folder(calls: Path, model: Path, tmp_path: Path) -> None:
    """And a training does not outlive its script, even where that is killed outright."""
    (calls.parent / "fake" / "fairseq-train").write_text(SLEEPS)
    script = start("train.sh", "DATA", tmp_path / "save", model, calls=calls)
    (orphan,) = wait_for(Path(f"{calls}.pids"))
    words = rf"train.sh: error: process {script.pid} works in .*save; wait for it, or end it"
    second = run("train.sh", "DATA", tmp_path / "save", model, calls=calls)
    assert re.search(words, second.stderr)
    time.sleep(2)  # its children are looked up every second
    script.kill()
    script.communicate()
    (calls.parent / "fake" / "fairseq-train").write_text(FAKE)
    while is_alive(orphan):
        time.sleep(0.05)
    assert run("train.sh", "DATA", tmp_path / "save", model, calls=calls).returncode == 0


def test_a_corpus_is_generated_then_binarised(calls: Path, tmp_path: Path) -> None:
    output = tmp_path / "distilled"
    done = run("generate_corpus.sh", "DATA", "T.pt", output, "--beam", 4, calls=calls)
    assert done.returncode == 0, done.stderr
    generate, binarise = called(calls, "fairseq-kd")
    assert generate == [
        "generate", "DATA", "--path", "T.pt", "--output", f"{output}/corpus", "--beam", "4",
    ]  # fmt: skip
    assert binarise == [
        "binarise", f"{output}/corpus", "DATA", "--output", f"{output}/bin",
        "--undecoded", "reference",
    ]  # fmt: skip


def test_memorisation_asks_again_for_what_is_replicated(calls: Path, tmp_path: Path) -> None:
    output = tmp_path / "memorised"
    for prefixes in (False, True):
        if prefixes:
            (output / "prefixes").mkdir()
            calls.unlink()
        done = run("memorisation.sh", "D", "S.pt", output, "--max-len-b", 9, calls=calls)
        assert done.returncode == 0, done.stderr
        made = [command[:1] + command[-2:] for command in called(calls, "fairseq-kd")]
        told = [f"{output}/{name}" for name in ("prefixes", "prefixed", "memorisation.json")]
        again = [["generate", "--max-len-b", "9"]] if prefixes else []
        first = [] if prefixes else [["describe", "--write-prefixes", told[0]]]
        last = ["describe", "--json", told[2]]
        assert made == [["generate", "--max-len-b", "9"], *first, *again, last]
        *_, asked = called(calls, "fairseq-kd")
        assert ("--prefixes" in asked) == prefixes
        assert (output / "memorisation.md").exists()


def called_with(calls: Path, *names: str) -> list[list[str]]:
    """The commands, and of their flags those that are asked for."""
    kept = []
    for command in called(calls, "fairseq-kd"):
        found = [command[i : i + 2] for i, word in enumerate(command) if word in names]
        kept.append([command[0], *(word for two in found for word in two)])
    return kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a data folder looks like to a script."""
    (tmp_path / "bin").mkdir()
    for name in ("dict.de.txt", "train.de-en.de.idx", "train.de-en.en.idx", "valid.de-en.de.idx"):
        (tmp_path / "bin" / name).touch()
    return tmp_path / "bin"


@pytest.mark.parametrize(("side", "way"), [("source", ("de", "en")), ("target", ("en", "de"))])
def test_text_of_either_side_is_translated(
    calls: Path, folder: Path, tmp_path: Path, side: str, way: tuple[str, str]
) -> None:
    out = tmp_path / "out"
    words = [folder, "T.pt", "news", out, "--of", side, "--beam", 4, "--gold", 2, "--tag", "NEW",
             "--subwords", "none"]  # fmt: skip
    done = run("forward_translate.sh", *words, calls=calls)
    assert done.returncode == 0, done.stderr
    there = ["--source-lang", way[0], "--target-lang", way[1]]
    flags = ("--source-lang", "--target-lang", "--text", "--subwords", "--beam", "--part")
    assert called_with(calls, *flags) == [
        ["sources", *there, "--text", "news", "--subwords", "none"],
        ["generate", *there, "--beam", "4"],
        ["binarise", *there],
        ["mix", "--source-lang", "de", "--target-lang", "en", "--part", "gold:2",
         "--part", f"{out}/pairs@NEW"],
    ]  # fmt: skip
    (out / "pairs").mkdir(parents=True)
    calls.unlink()
    run("forward_translate.sh", *words, "--pairs-only", calls=calls)
    assert [command[0] for command in called(calls, "fairseq-kd")] == ["sources", "generate"]


def test_a_round_trip(calls: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [folder, "B.pt", "F.pt", "news", out, "--beam", 4, "--gold", 0]
    done = run("round_trip.sh", *words, calls=calls)
    assert done.returncode == 0, done.stderr
    back, forth = ["--source-lang", "en"], ["--source-lang", "de"]
    assert called_with(calls, "--source-lang", "--path", "--beam", "--undecoded", "--part") == [
        ["sources", *back],
        ["generate", *back, "--path", "B.pt", "--beam", "4"],
        ["binarise", *back, "--undecoded", "drop"],
        ["generate", *forth, "--path", "F.pt", "--beam", "4"],
        ["binarise", *forth, "--undecoded", "drop"],
        ["mix", *forth, "--part", f"{out}/pairs"],
    ]
    commands = called(calls, "fairseq-kd")
    assert commands[3][1] == f"{out}/backward/pairs" == commands[4][2]


def test_annealing_in_two_runs(calls: Path, model: Path, tmp_path: Path) -> None:
    (calls.parent / "fake" / "fairseq-kd").write_text('#!/usr/bin/env bash\necho "BEST-$4-$2"\n')
    done = run("anneal.sh", "D", tmp_path / "out", model, 40, "T.pt", "--seed", 2, calls=calls)
    assert done.returncode == 0, done.stderr
    first, second = called(calls, "fairseq-train")
    for name, value in (("--teacher-path", "T.pt"), ("--anneal-updates", "40"), ("--seed", "2")):
        assert first[first.index(name) + 1] == value
    assert "annealing_kd" in first
    assert "annealing_kd" not in second
    best = second[second.index("--finetune-from-model") + 1]
    assert best == f"BEST-best-bleu-{tmp_path}/out/stage1"
    assert "--max-update" not in second


def test_translations_are_written_once(calls: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    corpus = tmp_path / "out.txt.corpus"
    corpus.mkdir()
    (corpus / "test1.xx-yy.shard0-of-1.jsonl.gz").touch()
    done = run("translate.sh", "DATA", "S.pt", "test1", output, "--beam", 2, calls=calls)
    assert done.returncode == 0, done.stderr
    generate, text = called(calls, "fairseq-kd")
    assert generate[:4] == ["generate", "DATA", "--path", "S.pt"]
    assert text == [
        "text", str(corpus), "--subset", "test1", "-s", "xx", "-t", "yy", "--output", str(output),
    ]  # fmt: skip
    output.write_text("done\n")
    run("translate.sh", "DATA", "S.pt", "test1", output, calls=calls)
    assert len(called(calls, "fairseq-kd")) == 3  # generate, which refuses other settings
    assert output.read_text() == "done\n"


def test_data_are_prepared_for_fairseq(tmp_path: Path, calls: Path) -> None:
    """With the real commands, on a toy made small."""
    config = tmp_path / "small.yaml"
    text = (ROOT / "configs" / "data" / "toy.yaml").read_text()
    for value, smaller in (("20000", "300"), ("500", "20"), ("1000", "10"), ("1080", "300")):
        text = text.replace(value, smaller, 1)
    config.write_text(text)
    for name in ("fairseq-kd", "fairseq-train"):
        (tmp_path / "fake" / name).unlink()
    for _ in range(2):
        done = run("prepare_data.sh", config, tmp_path / "out", calls=calls)
        assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out" / "bin").iterdir()}
    assert {"dict.de.txt", "train.de-en.de.bin", "valid.de-en.en.idx", "test.de-en.de.bin"} <= names
    dictionaries = [
        (tmp_path / "out" / "bin" / f"dict.{code}.txt").read_bytes() for code in ("de", "en")
    ]
    assert dictionaries[0] == dictionaries[1]  # joint
    unknown = run("prepare_data.sh", "nothing", tmp_path / "out", calls=calls)
    assert "there is no data set nothing; see configs/data" in unknown.stderr


def test_arguments_that_are_missing_or_unknown(calls: Path, tmp_path: Path) -> None:
    for name, words in (
        ("train.sh", "give DATA, SAVE and MODEL"),
        ("generate_corpus.sh", "give DATA, TEACHER and OUTPUT"),
        ("translate.sh", "give DATA, CHECKPOINT, SUBSET and OUTPUT"),
        ("prepare_data.sh", "give NAME and OUTPUT"),
        ("memorisation.sh", "give DATA, STUDENT and OUTPUT"),
        ("forward_translate.sh", "give DATA, TEACHER, TEXT and OUTPUT"),
        ("round_trip.sh", "give DATA, BACKWARD, FORWARD, TEXT and OUTPUT"),
        ("anneal.sh", "give DATA, OUTPUT, MODEL, UPDATES and TEACHER"),
    ):
        done = run(name, calls=calls)
        assert done.returncode == 1
        assert done.stderr == f"{name}: error: {words}; see --help\n"
    four, five = ["D", "T", "x", "o"], ["D", "B", "F", "x", "o"]
    for name, given, told in (
        ("forward_translate.sh", [*four, "--gold", "-1"], "--gold -1 is no count; give 0, 1, 2"),
        ("forward_translate.sh", four, "D holds no binarised training set; name a data folder"),
        ("round_trip.sh", [*five, "--gold", "x"], "--gold x is no count; give 0, 1, 2"),
        ("round_trip.sh", five, "D holds no binarised training set; name a data folder"),
    ):
        assert told in run(name, *given, calls=calls).stderr
    (calls.parent / "D").mkdir()
    (calls.parent / "D" / "train.a-b.a.idx").touch()
    sides = run("forward_translate.sh", *four, "--of", "both", calls=calls).stderr
    assert "--of both is no side; give source or target" in sides
    assert "unknown argument --loud" in run("quickstart.sh", "--loud", calls=calls).stderr
    assert "--seeds needs a value" in run("quickstart.sh", "--seeds", calls=calls).stderr
    missing = run("train.sh", "D", tmp_path / "s", "no.args", calls=calls)
    assert "no.args does not exist" in missing.stderr


def test_the_verdict_needs_every_margin_and_three_seeds(tmp_path: Path) -> None:
    def verdict(n: int, sd: float = 0.6, **means: float) -> tuple[int, str]:
        lines = ["row,decoding,metric,runs,mean,sd"]
        for name, mean in means.items():
            deviation = "" if name == "teacher" else sd
            lines += [
                f"{name},beam5,BLEU,{n},{mean},{deviation}",
                f"{name},beam5,chrF,{n},1,1",
                f"{name},greedy,BLEU,{n},1,1",
            ]
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines) + "\n")
        command = [sys.executable, str(ROOT / "scripts" / "verdict.py"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout

    good = {"teacher": 44.0, "seq_kd": 42.0, "word_kd": 41.0, "none": 40.0}
    assert verdict(3, **good)[0] == 0
    assert "verdict: as it should be" in verdict(3, **good)[1]
    assert verdict(2, **good)[0] == 1
    # twice the standard error of a difference of two means of 3 runs: 2 * 0.6 * sqrt(2 / 3) = 0.98
    for name, less in (("teacher", 42.9), ("seq_kd", 40.9), ("word_kd", 40.9)):
        assert verdict(3, **{**good, name: less})[0] == 1, name
    assert verdict(3, sd=0.7, **good)[0] == 1
    assert verdict(3, sd=0.1, **{**good, "word_kd": 40.2})[0] == 0


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "models").glob("*.args")), ids=str)
def test_fairseq_knows_every_flag_of_a_model_file(file: Path) -> None:
    from fairseq import options

    read = f'. "{ROOT}/scripts/common.sh"; read_flags "{file}"'
    read += "; printf '%s\\n' \"${flags[@]}\""
    done = subprocess.run(["bash", "-c", read], capture_output=True, text=True, check=True)
    flags = done.stdout.split("\n")[:-1]
    command = ["data", "--criterion", "label_smoothed_cross_entropy", *flags]
    parsed = options.parse_args_and_arch(options.get_training_parser(), command)
    if "--adam-betas" in flags:  # which the shell must not split
        assert parsed.adam_betas == "(0.9,0.98)"
    assert parsed.encoder_embed_dim == parsed.decoder_embed_dim
