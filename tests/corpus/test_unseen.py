"""Text without translations: a folder of sources, translated either way, and there and back."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kd_plugin.commands import cli
from kd_plugin.tasks import DistillationTask

from .. import support
from . import made

ROOT = Path(__file__).parents[2]
LINES = ["w1 w2 w3", "", "w4   w5 ", "w1 strange w2", "w6"]
SEARCH = ["--beam", "2", "--max-len-b", "9", "--engine", "fairseq", "--cpu"]


@pytest.fixture(scope="module")
def backward(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of the other direction, trained for a moment."""
    folder = tmp_path_factory.mktemp("backward")
    support.fairseq_train(
        data, folder, *support.WIDER, "-s", "yy", "-t", "xx", "--criterion", "cross_entropy",
        "--max-update", 10, "--seed", 3,
    )  # fmt: skip
    return folder / "checkpoint_last.pt"


def command(*words: object) -> None:
    cli.main([*map(str, words)])


def sides(folder: Path, *languages: str) -> list[tuple[str, ...]]:
    """The training set as text."""
    task = DistillationTask.of_data(str(folder), *languages)
    pairs = task.language_pairs(str(folder), "train")
    texts = [(pairs.src, task.src_dict), (pairs.tgt, task.tgt_dict)]
    return [
        tuple(words.string(side[row]) for side, words in texts if side is not None)
        for row in range(len(pairs))
    ]


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_lines_become_sources(data: Path, tmp_path: Path, pack: Callable[[str], bytes]) -> None:
    text = tmp_path / "text"
    text.write_bytes(pack("".join(f"{line}\n" for line in LINES)))
    words = ["sources", data, "--text", text, "--subwords", "none", "--output", tmp_path / "out"]
    command(*words)
    found = sides(tmp_path / "out")
    assert found == [("w1 w2 w3",), ("",), ("w4 w5",), ("w1 <unk> w2",), ("w6",)]
    for name in ("dict.xx.txt", "valid.xx-yy.yy.bin", "test.xx-yy.xx.idx"):
        assert (tmp_path / "out" / name).read_bytes() == (data / name).read_bytes()


def test_it_is_made_once(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text"
    text.write_text("w1\nstrange\n")
    words = ["sources", data, "--text", text, "--subwords", "none", "--output", tmp_path / "out"]
    command(*words)
    told = "sentences 2, empty 0, pieces 2, unknown pieces 1"
    assert capsys.readouterr().out == f"{tmp_path}/out: {told}\n"
    command(*words)
    assert capsys.readouterr().out == f"{tmp_path}/out is complete: nothing to do\n"
    text.write_text("w2\n")
    with pytest.raises(SystemExit, match="was made with another file of --text; give another"):
        command(*words)
    with pytest.raises(SystemExit, match=r"--output .*/bin exists; give another, or remove it"):
        command(*words[:-1], data)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "has no text"), (b"\n\n", "has no text"), (b"a\xff\n", "line 1 is not UTF-8")],
)
def test_bad_text(data: Path, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "text").write_bytes(content)
    flags = ["--text", tmp_path / "text", "--output", tmp_path / "out"]
    with pytest.raises(SystemExit, match=words):
        command("sources", data, *flags, "--subwords", "none")
    with pytest.raises(SystemExit, match="no SentencePiece model of xx stand beside"):
        command("sources", data, *flags)
    with pytest.raises(SystemExit, match="are two ways to cut; give one"):
        command("sources", data, *flags, "--subwords", "none", "--sentencepiece", "x")
    assert not (tmp_path / "out").exists()


def test_what_needs_references_says_so(data: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("w1\n")
    command("sources", data, "--text", tmp_path / "text", "--subwords", "none",
            "--output", tmp_path / "out")  # fmt: skip
    with pytest.raises(SystemExit, match="the data folder has sources alone and no references"):
        command("describe", tmp_path / "out")


def test_a_round_trip_and_its_history(
    data: Path, teacher: Path, backward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What scripts/round_trip.sh does; then again, as history tells it."""
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("".join(f"{line.upper()}\n" for line in LINES))
    there, back = ["-s", "yy", "-t", "xx"], ["-s", "xx", "-t", "yy"]
    command("sources", data, *there, "--text", "text", "--subwords", "none", "--output", "a")
    command("generate", "a", *there, "--path", backward, "--output", "b", *SEARCH)
    command("binarise", "b", "a", *there, "--undecoded", "drop", "--output", "c")
    command("generate", "c", *back, "--path", teacher, "--output", "d", *SEARCH)
    command("binarise", "d", "c", *back, "--undecoded", "drop", "--output", "e")
    command("noise", "e", *back, "--delete", "0.3", "--subwords", "none", "--output", "f")
    command("mix", data, "--part", "gold:2", "--part", "f@w1", "--part", "c", "--output", "g")
    lines = [line.upper() for line in LINES]
    text = [" ".join(line.split()) for line in lines if line]
    middle, pairs = sides(Path("c"), *back[1::2]), sides(Path("e"), *back[1::2])
    known = ["W1 W2 W3", "W4 W5", "W1 <unk> W2", "W6"]
    assert [genuine for _, genuine in middle] == known != text
    assert [source for source, _ in pairs] == [source for source, _ in middle]
    assert len(sides(Path("g"))) == 2 * 150 + 4 + 4
    capsys.readouterr()
    command("history", "g")
    printed = capsys.readouterr().out.splitlines()
    told = [shlex.split(line)[1:] for line in printed if not line.startswith("#")]
    assert [words[0] for words in told] == [
        "sources", "generate", "binarise", "generate", "binarise", "noise", "mix",
    ]  # fmt: skip
    again = tmp_path / "again"
    again.mkdir()
    monkeypatch.chdir(again)
    Path("text").symlink_to(tmp_path / "text")
    for number, path in enumerate((backward, teacher), 1):
        Path(f"TEACHER{number}.PT").symlink_to(path)
    for words in told:
        command(*words)
    last = again / told[-1][-1]
    for side in ("xx", "yy"):
        name = f"train.xx-yy.{side}.bin"
        assert (last / name).read_bytes() == (tmp_path / "g" / name).read_bytes()
        assert any(name in line and support.sha256(last / name) in line for line in printed)


@pytest.mark.parametrize(
    ("compute", "flags"), [("float32", []), ("int8_float32", ["--compute-type", "int8"])]
)
def test_history_names_the_engine(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], compute: str, flags: list[str]
) -> None:
    corpus = made.write(tmp_path / "corpus", data, made.records_of(data))
    path = next(corpus.glob("*.manifest.json"))
    told = json.loads(path.read_text())
    told["settings"] |= {"engine": "ctranslate2", "engine_compute_type": compute}
    path.write_text(json.dumps(told))
    command("history", corpus)
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    where = words.index("--engine")
    assert words[where : words.index("--cpu")] == ["--engine", "ctranslate2", *flags]


def test_history_of_folders_that_do_not_tell(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"is a data folder without history\.json: no command of"):
        command("history", data)
    (tmp_path / "history.json").write_text('{"command": 3}')
    with pytest.raises(SystemExit, match=r"history.json is damaged \(.*\); copy the folder again"):
        command("history", tmp_path)


def test_prefixes_and_binarise_tell(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    known = DistillationTask.of_data(str(data)).target_dictionary
    made.write(Path("c"), data, [
        {"id": row, "hypotheses": [{"score": -1.0, "text": line,
                                    "tokens": known.encode_line(line).tolist()}]}
        for row, line in enumerate(made.references(data))
    ])  # fmt: skip
    command("describe", data, "c", "--subwords", "none", "--write-prefixes", "p")
    command("binarise", "c", data, "--copies", "2,1", "--output", "b")
    for folder in ("p", "b"):
        capsys.readouterr()
        command("history", folder)
        printed = capsys.readouterr().out.splitlines()
        again = [shlex.split(line)[1:] for line in printed if not line.startswith("#")]
        assert again[0][:2] == ["generate", str(data)]
        words = ["c" if word == "corpus1" else word for word in again[1]]
        command(*words)
        for side in ("xx", "yy"):
            name = f"train.xx-yy.{side}.bin"
            assert (Path("data1") / name).read_bytes() == (Path(folder) / name).read_bytes()
        Path("data1").rename(f"made-{folder}")


@pytest.mark.slow
def test_the_scripts(data: Path, teacher: Path, backward: Path, tmp_path: Path) -> None:
    """Either side and a round trip through real processes; run again they do nothing."""
    (tmp_path / "xx").write_text("".join(f"{line}\n" for line in LINES))
    (tmp_path / "yy").write_text("".join(f"{line.upper()}\n" for line in LINES))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        for name, teachers, text, more in (
            ("forward_translate", [teacher], "xx", ["--gold", 2]),
            ("forward_translate", [backward], "yy", ["--of", "target", "--gold", 0]),
            ("round_trip", [backward, teacher], "yy", []),
        ):
            out = tmp_path / f"{name}.{text}"
            words = [data, *teachers, tmp_path / text, out, *more, "--subwords", "none", *SEARCH]
            script = [str(ROOT / "scripts" / f"{name}.sh"), *map(str, words)]
            subprocess.run(script, env=environment, check=True, timeout=600)
    sizes = {folder.name: len(sides(folder / "bin")) for folder in tmp_path.glob("*_*.*")}
    assert sizes == {"forward_translate.xx": 304, "forward_translate.yy": 4, "round_trip.yy": 154}
    first = sides(tmp_path / "forward_translate.yy" / "bin")[0]
    assert first[1] == "W1 W2 W3"
