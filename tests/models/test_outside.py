"""A student for CTranslate2 translates raw text without fairseq, torch or this plugin."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece

from kd_plugin.commands import cli

from .. import support

ROOT = Path(__file__).parent.parent.parent
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), flags=re.S)
ALONE = "import sys; sys.modules.update(fairseq=None, torch=None, kd_plugin=None)\n"
SIZES = {"train": 150, "valid": 9, "test": 40}


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "two models"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw text, the same cut into pieces and binarised, and a student of it."""
    folder = tmp_path_factory.mktemp("place")
    support.write_lines(folder / "raw", SIZES, ("xx", "yy"))
    lines = {
        (split, code): (folder / "raw" / f"{split}.{code}").read_text().splitlines()
        for split in SIZES
        for code in ("xx", "yy")
    }
    models = {}
    for code in ("xx", "yy"):
        prefix = folder / ("joint" if request.param else code)
        codes = ("xx", "yy") if request.param else (code,)
        text = [line for c in codes for line in lines["train", c]]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_prefix=str(prefix), vocab_size=30,
            model_type="unigram", hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
        models[code] = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    pieces = {
        (split, code): [" ".join(p) for p in models[code].encode(text, out_type=str)]
        for (split, code), text in lines.items()
    }
    pairs = {split: list(zip(pieces[split, "xx"], pieces[split, "yy"])) for split in SIZES}
    data = support.binarise(folder / "bin", pairs)
    ours = support.distillation("--criterion", "seq_kd") if request.param else []
    support.fairseq_train(
        data, folder / "student", *support.TINY, *(ours or ["--criterion", "cross_entropy"]),
        "--max-tokens", 400, "--max-update", 120, "--max-epoch", 99,
    )  # fmt: skip
    return folder


def subwords(place: Path) -> list[str]:
    names = ["joint"] if (place / "joint.model").exists() else ["xx", "yy"]
    return [str(place / f"{name}.model") for name in names]


def export(place: Path, output: Path, *flags: object) -> Path:
    checkpoint = place / "student" / "checkpoint_last.pt"
    cli.main(["export", str(checkpoint), str(output), "--format", "ctranslate2", *map(str, flags)])
    return output


def test_the_documented_lines_translate_raw_text(place: Path, tmp_path: Path) -> None:
    """As ``generate`` and ``text`` do, in a process that has none of us."""
    output = export(place, tmp_path / "out", "--subwords", *subwords(place))
    corpus, checkpoint = tmp_path / "corpus", place / "student" / "checkpoint_last.pt"
    search = ["--beam", "5", "--max-len-b", "60", "--cpu", "--engine", "fairseq"]
    command = ["--path", str(checkpoint), "--subset", "test", "--output", str(corpus)]
    cli.main(["generate", str(place / "bin"), *command, *search])
    text = tmp_path / "text"
    pair = ["-s", "xx", "-t", "yy", "--output", str(text)]
    cli.main(["text", str(corpus), "--subset", "test", *pair])
    code = EXAMPLE
    if len(subwords(place)) == 2:
        code = code.replace("sentencepiece.model", "sentencepiece.source.model", 1)
        code = code.replace(
            "student = ",
            "target = sentencepiece.SentencePieceProcessor(\n"
            '    model_file=f"{folder}/sentencepiece.target.model")\nstudent = ',
        ).replace("pieces.decode", "target.decode")
    code = code.replace("beam_size=5", "beam_size=5, max_decoding_length=61")
    done = subprocess.run(
        [sys.executable, "-c", ALONE + code, str(output)], cwd=tmp_path,
        input=(place / "raw" / "test.xx").read_text(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = done.stdout.splitlines(), text.read_text().splitlines()
    assert len(ours) == SIZES["test"]
    whole = [i for i, line in enumerate(theirs) if len(line) < 40]  # the others met the limit
    assert len(whole) > 30
    assert [ours[i] for i in whole] == [theirs[i] for i in whole]


def test_what_is_in_the_folder(place: Path, tmp_path: Path) -> None:
    sizes = {}
    for name in (None, "int16", "float16", "int8"):
        flags = ["--quantization", name] if name else []
        output = export(place, tmp_path / str(name), *flags)
        assert {"model.bin", "config.json"} < {file.name for file in output.iterdir()}
        assert all("vocabulary" in file.name for file in output.glob("*[!g].json"))
        sizes[name] = (output / "model.bin").stat().st_size
    assert sizes["int8"] < sizes["int16"] < sizes[None]
    assert sizes["float16"] < sizes["int16"]
    named = export(place, tmp_path / "named", "--subwords", *subwords(place))
    expected = (
        ["sentencepiece.model"]
        if len(subwords(place)) == 1
        else ["sentencepiece.source.model", "sentencepiece.target.model"]
    )
    assert sorted(file.name for file in named.glob("sentencepiece*")) == expected


def test_dictionaries_that_moved(place: Path, data: Path, tmp_path: Path) -> None:
    """The checkpoint's own folder, then ``--data``; another dictionary is refused."""
    whole = export(place, tmp_path / "whole")
    shutil.copytree(place / "bin", tmp_path / "moved")
    (place / "bin").rename(place / "gone")
    try:
        with pytest.raises(SystemExit, match=r"its data folder is gone; give --data, the folder"):
            export(place, tmp_path / "out")
        if len(subwords(place)) == 1:  # by our task, which records the hashes
            with pytest.raises(SystemExit, match=r"dict\.xx\.txt is not that of .*; give --data"):
                export(place, tmp_path / "out", "--data", data)
        with pytest.raises(SystemExit, match=r"(holds no dict|tells the lang).*; give --data, the"):
            export(place, tmp_path / "out", "--data", tmp_path)
        again = export(place, tmp_path / "again", "--data", tmp_path / "moved")
    finally:
        (place / "gone").rename(place / "bin")
    for file in whole.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported(
    place: Path, data: Path, second_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path / "out")
    (tmp_path / "text").write_text("no model\n")
    text = ["the quick brown fox jumps over a lazy dog"] * 5
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_prefix=str(tmp_path / "other"), vocab_size=30,
        model_type="char", minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    with pytest.raises(SystemExit, match=r"no place for the architecture LSTMModel.* --format fai"):
        cli.main(["export", str(second_teacher), output, "--format", "ctranslate2"])
    for flags, words in (
        (["--subwords", tmp_path / "text"], r"text is no model of SentencePiece; give the one"),
        (["--subwords", tmp_path / "other.model"], r"knows \d+ of its \d+ pieces; give the model"),
        (["--subwords", *subwords(place)[:1] * 3], r"--subwords names 3 files; give one or two"),
    ):
        with pytest.raises(SystemExit, match=words):
            export(place, tmp_path / "out", *flags)
    with pytest.raises(SystemExit, match=r"--quantization is of --format ctranslate2; give that"):
        cli.main(["export", str(second_teacher), output, "--quantization", "int8"])
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(SystemExit, match=r"CTranslate2 is not installed; type: pip install"):
        export(place, tmp_path / "out")
    assert not Path(output).exists()
