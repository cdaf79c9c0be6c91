"""Teacher forcing: the likeliest word at each prefix of the reference, and nobody's translation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.commands import cli
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.tasks import DistillationTask
from kd_plugin.teachers.checkpoints import load_teacher

from .. import support

NAME = "train.xx-yy"


@pytest.fixture(scope="module")
def texts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """41 pairs: an empty source, one too long, a target too long, a source with two targets."""
    pairs = [(f"w{i % 13} w{i % 5}", f"W{i % 13}" + " W1" * (i % 6)) for i in range(41)]
    pairs[4], pairs[9] = ("", "W1 W2"), ("w1 " * 1100, "W1")
    pairs[13] = ("w1", "W1 " * 1100)
    pairs[20], pairs[33] = ("w3 w4", "W4 W3"), ("w3 w4", "W3")
    folder = tmp_path_factory.mktemp("texts") / "bin"
    return support.binarise(folder, {"train": pairs, "valid": [("w1", "W1")]}, data)


def run(data: Path, teacher: object, output: Path, *flags: object) -> Path:
    command = ["generate", data, "--path", teacher, "--output", output, "--cpu", *flags]
    cli.main([str(part) for part in command])
    return output


def forced(data: Path, teacher: object, output: Path, *flags: object) -> Path:
    return run(data, teacher, output, "--teacher-forcing", *flags)


def records(output: Path) -> list[dict[str, Any]]:
    return list(read_corpus(find_corpus(output, NAME, any_text=True)))


@pytest.fixture(scope="module")
def corpus(texts: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return forced(texts, teacher, tmp_path_factory.mktemp("corpus"))


@torch.no_grad()
def said(models: list[Any], words: Any, source: Any, target: Any) -> tuple[list[int], float]:
    """The words and their mean log-probability, by a loop over the prefixes of one reference."""
    found, log_p = [], 0.0
    for place in range(len(target)):
        prefix = torch.cat([target[-1:], target[:place]]).unsqueeze(0)
        length = torch.tensor([len(source)])
        p = torch.stack(
            [m(source.unsqueeze(0), length, prefix)[0][0, -1].softmax(-1) for m in models]
        ).mean(0)
        p[words.pad()] = 0
        best = int(p.argmax())
        log_p += float(p[best].log())
        found += [best] if best != words.eos() else []
    return [*found, words.eos()], log_p / len(target)


@pytest.mark.parametrize("several", [False, True], ids=["one", "ensemble"])
def test_it_is_the_argmax_at_every_prefix_of_the_reference(
    texts: Path, teacher: Path, second_teacher: Path, tmp_path: Path, several: bool
) -> None:
    path = f"{teacher}:{second_teacher}" if several else str(teacher)
    found = records(forced(texts, path, tmp_path, "--max-tokens", 60))
    task = DistillationTask.of_data(str(texts))
    pairs = task.language_pairs(str(texts), "train")
    models = [model.double() for model in load_teacher(path, task).models]
    assert [record["id"] for record in found] == list(range(41))
    compared = 0
    for record in found:
        row = record["id"]
        if row in (4, 9, 13):
            assert record["hypotheses"] == []
            continue
        tokens, score = said(models, task.tgt_dict, pairs.src[row], pairs.tgt[row])
        if len(tokens) == 1:
            assert record["reason"] == "no word"
            continue
        ((h),) = record["hypotheses"]
        assert h["tokens"] == tokens
        assert h["text"] == task.tgt_dict.string(torch.tensor(tokens))
        assert h.keys() == {"score", "tokens", "text"}
        assert h["score"] == pytest.approx(score, abs=1e-6)
        compared += 1
    assert compared > 10


def test_what_cannot_be_read_is_told(corpus: Path) -> None:
    reasons = {r["id"]: r["reason"] for r in records(corpus) if not r["hypotheses"]}
    assert reasons[4] == "empty"
    assert reasons[9] == "1101 tokens, and the teacher reads at most 1024"
    assert reasons[13] == "reference of 1101 tokens, and the teacher reads at most 1024"
    assert find_corpus(corpus, NAME, any_text=True)[0][1]["counts"]["undecoded: too long"] == 2


def test_a_source_with_two_references_has_each(corpus: Path) -> None:
    found = records(corpus)
    assert "same_as" not in found[33]
    assert len(found[33]["hypotheses"][0]["tokens"]) <= 3


def test_its_lines_do_not_depend_on_batches_blocks_and_shards(
    texts: Path, teacher: Path, corpus: Path, tmp_path: Path
) -> None:
    forced(texts, teacher, tmp_path / "a", "--max-tokens", 20, "--block-size", 7)
    assert records(tmp_path / "a") == records(corpus)
    for shard in (1, 0):
        forced(texts, teacher, tmp_path / "b", "--shard", f"{shard}/2")
    assert records(tmp_path / "b") == records(corpus)


def test_the_manifest_says_that_it_is_no_translation(corpus: Path) -> None:
    settings = find_corpus(corpus, NAME, any_text=True)[0][1]["settings"]
    assert settings["kind"] == "teacher-forcing"
    assert settings["search"] == {
        "teacher_forcing": True, "max_tokens": 4000, "fp16": False, "block_size": 2000,
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ["text", "CORPUS", "--subset", "train", "-s", "xx", "-t", "yy", "--output", "OUT"],
        ["select", "CORPUS", "--output", "OUT"],
        ["select", "OTHER", "CORPUS", "--output", "OUT", "--by", "mbr"],
        ["filter", "CORPUS", "DATA", "--repetition", "--output", "OUT"],
        ["describe", "DATA", "CORPUS"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_what_wants_translations_refuses_it(
    texts: Path, teacher: Path, corpus: Path, tmp_path: Path, command: list[str]
) -> None:
    other = tmp_path / "other"
    if "OTHER" in command:
        run(texts, teacher, other, "--beam", 1, "--max-len-b", 3)
    out = tmp_path / "out"
    places = {"CORPUS": corpus, "DATA": texts, "OUT": out, "OTHER": other}
    with pytest.raises(SystemExit, match=r"is no translation: .* \(generate --teacher-forcing\)"):
        cli.main([str(places.get(word, word)) for word in command])
    assert not out.exists()


def test_a_student_can_be_trained_on_it(
    texts: Path, teacher: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--undecoded", "reference", "--output"]
    cli.main(["binarise", str(corpus), str(texts), *told, str(tmp_path / "bin")])
    cli.main(
        ["mix", str(texts), "--part", "gold", "--part", str(corpus), *told, str(tmp_path / "m")]
    )
    task = DistillationTask.of_data(str(texts))
    pairs = task.language_pairs(str(tmp_path / "bin"), "train")
    for record in records(corpus):
        for h in record["hypotheses"]:
            assert pairs.tgt[record["id"]].tolist() == h["tokens"]
    assert len(task.language_pairs(str(tmp_path / "m"), "train")) == 82
    capsys.readouterr()
    cli.main(["history", str(corpus)])
    assert "--teacher-forcing" in capsys.readouterr().out.split()


def test_it_and_translations_do_not_continue_each_other(
    texts: Path, teacher: Path, corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        SystemExit, match="made with kind teacher-forcing and this command says translations"
    ):
        run(texts, teacher, corpus, "--beam", 1)
    run(texts, teacher, tmp_path, "--beam", 1, "--max-len-b", 2)
    with pytest.raises(SystemExit, match="kind translations and this command says teacher-forcing"):
        forced(texts, teacher, tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--beam", 3], "--beam 3 is of a search, and --teacher-forcing reads the references"),
        (["--sampling"], "--sampling is of a search, and --teacher-forcing"),
        (["--nbest", 2], "--nbest 2 is of a search"),
        (["--seed", 2], "--seed 2 is of a search"),
        (["--knnmt-datastore", "d"], "--knnmt-datastore d is of a search"),
        (["--engine", "ctranslate2"], "--engine ctranslate2 tells no likeliest word at each pref"),
    ],
)
def test_flags_that_do_not_fit(
    texts: Path, teacher: Path, tmp_path: Path, flags: list[object], words: str
) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: {words}"):
        forced(texts, teacher, tmp_path, *flags)
    assert not list(tmp_path.iterdir())


def test_without_references_there_is_nothing_to_read(
    texts: Path, teacher: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in texts.iterdir():
        if not file.name.startswith("train.xx-yy.yy"):
            (alone / file.name).symlink_to(file)
    with pytest.raises(
        SystemExit, match=r"--teacher-forcing reads the references, and .* has none"
    ):
        forced(alone, teacher, tmp_path / "out")
