"""What ``fairseq-kd speed`` counts: the tokens that the searches write, the bytes of the export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.corpus import engines
from kd_plugin.corpus.records import find_corpus, read_corpus

SEARCH = ["--beam", "2", "--max-len-a", "1", "--max-len-b", "3", "--cpu"]


def measured(data: Path, path: Path, tmp_path: Path, *flags: str) -> Any:
    file = tmp_path / "speed.json"
    command = ["speed", str(data), "--path", str(path), *SEARCH, "--json", str(file)]
    cli.main([*command, "--repetitions", "2", "--sentences", "9", *flags])
    return json.loads(file.read_text())


def test_tokens_and_bytes(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    found = measured(data, teacher, tmp_path)
    command = ["generate", str(data), "--path", str(teacher), "--subset", "test", *SEARCH]
    cli.main([*command, "--engine", "fairseq", "--output", str(tmp_path / "corpus")])
    records = list(read_corpus(find_corpus(tmp_path / "corpus", "test.xx-yy")))[:9]
    tokens = sum(len(record["hypotheses"][0]["tokens"]) for record in records)
    assert (found["sentences"], found["fairseq"]["tokens"]) == (9, tokens)
    outside, folder = found["ctranslate2"], tmp_path / "model.ct2"
    cli.main(["export", str(teacher), str(folder), "--format", "ctranslate2"])
    assert outside["megabytes"] * 1e6 == sum(file.stat().st_size for file in folder.iterdir())
    lines = (data.with_name("bin.text") / "test.xx").read_text().splitlines()[:9]
    translator = ctranslate2.Translator(str(folder))
    longest = max(len(line.split()) for line in lines) + 1 + 3
    best = translator.translate_batch(
        [line.split() for line in lines], beam_size=2, max_decoding_length=longest + 1,
        return_end_token=True,
    )  # fmt: skip
    assert outside["tokens"] == sum(len(each.hypotheses[0]) for each in best)
    assert outside["seconds"] > 0 < found["fairseq"]["seconds"]
    out = capsys.readouterr().out
    assert f"tokens a second ({tokens:,} in " in out
    assert f", {outside['megabytes']:.2f} MB" in out


def test_what_ctranslate2_cannot_do_is_told(
    data: Path, teacher: Path, second_teacher: Path, tmp_path: Path, monkeypatch: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    found = measured(data, second_teacher, tmp_path)
    assert "has no place for" in found["ctranslate2"]["why_not"]
    assert found["fairseq"]["tokens"] > 9
    assert "CTranslate2 has no place for" in capsys.readouterr().out
    monkeypatch.setattr(engines, "why_no_library", lambda: ("is not installed", "type: pip"))
    found = measured(data, teacher, tmp_path)
    assert found["ctranslate2"] == {"why_not": "is not installed, type: pip"}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sentences", "0"], "--sentences 0 is too small; give at least 1"),
        (["--repetitions", "0"], "--repetitions 0 is too small; give at least 1"),
        (["--beam", "0"], "--beam 0 is too small"),
        (["--lenpen", "-11"], "--lenpen -11"),
        (["--subset", "gone"], "gone"),
    ],
)
def test_bad_values(
    flags: list[str], words: str, data: Path, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=words):
        measured(data, teacher, tmp_path, *flags)
    assert not (tmp_path / "speed.json").exists()
