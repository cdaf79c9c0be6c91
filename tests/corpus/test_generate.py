"""Teacher corpora: every sentence comes back, in order, whatever it is and whatever happens."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq.models.transformer import TransformerDecoderBase, TransformerEncoderBase
from fairseq_cli import generate as fairseq_generate

from kd_plugin.commands import cli
from kd_plugin.corpus.decoding import Decoder, Search, text_of
from kd_plugin.corpus.generate import Work, is_repetitive
from kd_plugin.corpus.records import find_corpus, pack, read_corpus, unpack
from kd_plugin.data.subset import read_subset
from kd_plugin.files.blocks import read_manifest
from kd_plugin.tasks import DistillationTask

from .. import support

NAME = "train.xx-yy"
SEARCH = [
    *("--beam", "3", "--nbest", "2", "--max-len-b", "12", "--max-tokens", "40", "--cpu"),
    *("--engine", "fairseq"),  # test_engines.py has the other
]


@pytest.fixture(scope="module")
def awkward(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """61 sentences: empty ones, unknown words, very long ones, and sources that repeat."""
    lines = [f"w{i % 13} w{(3 * i) % 13}" + " w1" * (i % 7) for i in range(61)]
    lines[0] = lines[17] = lines[60] = ""
    lines[5] = "never seen"
    lines[9] = "w1 " * 1100
    lines[30] = lines[41] = lines[59] = "w3 w4 w5"
    pairs = {"train": [(line, "W1") for line in lines], "valid": [("w1", "W1")]}
    return support.binarise(tmp_path_factory.mktemp("awkward") / "bin", pairs, data)


def run(data: Path, teacher: Path, output: Path, *flags: str) -> None:
    cli.main(
        ["generate", str(data), "--path", str(teacher), "--output", str(output), *SEARCH, *flags]
    )


def records(output: Path) -> list[dict[str, Any]]:
    return list(read_corpus(find_corpus(output, NAME)))


@pytest.fixture(scope="module")
def whole(awkward: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("corpus")
    run(awkward, teacher, output, "--block-size", "7")
    return output


def test_61_awkward_sentences_come_back_as_61_records(whole: Path) -> None:
    found = records(whole)
    assert [record["id"] for record in found] == list(range(61))
    reasons = {record["id"]: record["reason"] for record in found if "reason" in record}
    assert reasons == {
        0: "empty", 17: "empty", 60: "empty",
        9: "1101 tokens, and the teacher reads at most 1024",
    }  # fmt: skip
    for record in found:
        assert len(record["hypotheses"]) == (0 if record["id"] in reasons else 2)
        scores = [h["score"] for h in record["hypotheses"]]
        assert scores == sorted(scores, reverse=True)


def test_a_repeated_source_is_decoded_once(whole: Path) -> None:
    found = records(whole)
    assert found[41]["same_as"] == found[59]["same_as"] == 30
    assert found[41]["hypotheses"] == found[59]["hypotheses"] == found[30]["hypotheses"]
    repeats = [record for record in found if "same_as" in record]
    manifest = find_corpus(whole, NAME)[0][1]
    assert manifest["counts"]["repeated sources"] == len(repeats)
    assert manifest["counts"]["decoded"] == 61 - 4 - len(repeats)


def test_translations_are_those_of_fairseq_generate(
    awkward: Path, teacher: Path, whole: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    command = [
        "fairseq-generate", str(awkward), "--user-dir", support.USER_DIR, "--path", str(teacher),
        "--gen-subset", "train", "--scoring", "sacrebleu", "--required-batch-size-multiple", "1",
        "--skip-invalid-size-inputs-valid-test", *SEARCH[:-2],
    ]  # fmt: skip
    command[command.index("--max-tokens") + 1] = "1200"
    monkeypatch.setattr(sys, "argv", command)
    fairseq_generate.cli_main()
    theirs: dict[int, list[tuple[str, float]]] = {}
    for line in capsys.readouterr().out.split("\n"):
        if line.startswith("H-"):
            row, bits, text = line.split("\t")
            theirs.setdefault(int(row[2:]), []).append((text, float(bits) * math.log(2)))
    compared = 0
    for record in records(whole):
        for ours, (text, score) in zip(record["hypotheses"], theirs.get(record["id"], [])):
            assert ours["score"] == pytest.approx(score, abs=2e-5)
            compared += ours["text"] == text
    assert compared == sum(len(record["hypotheses"]) for record in records(whole))


def test_text_is_the_tokens(awkward: Path, whole: Path) -> None:
    words = DistillationTask.of_data(str(awkward)).target_dictionary
    for record in records(whole):
        for hypothesis in record["hypotheses"]:
            tokens = torch.tensor(hypothesis["tokens"])
            assert tokens[-1] == words.eos()
            assert words.string(tokens) == hypothesis["text"]


def test_shards_are_the_whole(awkward: Path, teacher: Path, whole: Path, tmp_path: Path) -> None:
    for shard in (2, 0, 1):
        run(awkward, teacher, tmp_path, "--shard", f"{shard}/3")
    assert [manifest["settings"]["rows"] for _, manifest in find_corpus(tmp_path, NAME)] == [
        [0, 20], [20, 40], [40, 61],
    ]  # fmt: skip
    parts, all_at_once = records(tmp_path), records(whole)
    for ours, theirs in zip(parts, all_at_once, strict=True):
        assert ours["id"] == theirs["id"]
        assert [h["tokens"] for h in ours["hypotheses"]] == [
            h["tokens"] for h in theirs["hypotheses"]
        ]


def test_killed_ten_times_its_bytes_are_the_same(
    awkward: Path, teacher: Path, whole: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    generator = random.Random(5)
    kills = 0
    while kills < 10:
        process = context.Process(
            target=run, args=(awkward, teacher, tmp_path, "--block-size", "7")
        )
        process.start()
        time.sleep(generator.uniform(0.05, 0.6))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    run(awkward, teacher, tmp_path, "--block-size", "7")
    for file in whole.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in whole.iterdir()}


def test_a_finished_corpus_is_left_alone(
    awkward: Path, teacher: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ((path, _),) = find_corpus(whole, NAME)
    before = path.stat().st_mtime_ns
    run(awkward, teacher, whole, "--block-size", "7")
    assert "is complete: nothing to do" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before
    with pytest.raises(
        SystemExit, match=r"made with search\.lenpen 1\.0 and this command says 0\.5: give"
    ):
        run(awkward, teacher, whole, "--block-size", "7", "--lenpen", "0.5")


def test_what_a_manifest_says(whole: Path, teacher: Path, awkward: Path) -> None:
    ((path, manifest),) = find_corpus(whole, NAME)
    assert read_manifest(path) == manifest
    settings = manifest["settings"]
    assert settings["teacher_sha256"] == [support.sha256(teacher)]
    assert settings["search"]["beam"] == 3
    assert set(settings["versions"]) == {"kd-plugin", "fairseq", "torch", "python"}
    assert settings["sentences"] == 61
    assert manifest["counts"]["undecoded: empty"] == 3
    assert manifest["counts"]["undecoded: too long"] == 1
    capped = sum("capped" in r["hypotheses"][0] for r in records(whole) if r["hypotheses"])
    assert manifest["counts"].get("best at the length limit", 0) == capped


def test_a_length_limit_is_noticed(awkward: Path, teacher: Path, tmp_path: Path) -> None:
    run(awkward, teacher, tmp_path, "--max-len-b", "1")
    for record in records(tmp_path):
        for hypothesis in record["hypotheses"]:
            assert ("capped" in hypothesis) == (len(hypothesis["tokens"]) == 2)
    counts = find_corpus(tmp_path, NAME)[0][1]["counts"]
    assert counts["best at the length limit"] > 50


def test_probabilities_that_are_no_numbers_cost_their_sentence_only(
    awkward: Path, teacher: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher that gives NaN wherever the source holds a certain word."""
    task = DistillationTask.of_data(str(awkward))
    spoilt = task.source_dictionary.index("w4")
    forward = TransformerDecoderBase.forward

    def with_nan(self: Any, tokens: Any, encoder_out: Any, **more: Any) -> Any:
        logits, extra = forward(self, tokens, encoder_out=encoder_out, **more)
        bad = encoder_out["encoder_padding_mask"][0].new_tensor(
            [spoilt in row for row in encoder_out["src_tokens"][0].tolist()]
        )
        return logits.masked_fill(bad[:, None, None], float("nan")), extra

    encode = TransformerEncoderBase.forward

    def with_tokens(self: Any, src_tokens: Any, *more: Any, **named: Any) -> Any:
        return {**encode(self, src_tokens, *more, **named), "src_tokens": [src_tokens]}

    def reorder(self: Any, encoder_out: Any, order: Any) -> Any:
        kept = encoder_out["src_tokens"][0].index_select(0, order)
        return {**reordered(self, encoder_out, order), "src_tokens": [kept]}

    reordered = TransformerEncoderBase.reorder_encoder_out
    monkeypatch.setattr(TransformerDecoderBase, "forward", with_nan)
    monkeypatch.setattr(TransformerEncoderBase, "forward", with_tokens)
    monkeypatch.setattr(TransformerEncoderBase, "reorder_encoder_out", reorder)
    run(awkward, teacher, tmp_path)
    failed = 0
    for ours, theirs in zip(records(tmp_path), records(whole), strict=True):
        source = task.source_dictionary.string(
            task.language_pairs(str(awkward), "train").src[ours["id"]]
        )
        if "w4" in source.split() and theirs["hypotheses"]:
            assert ours["reason"] == "scores not finite"
            failed += 1
        else:
            assert [h["tokens"] for h in ours["hypotheses"]] == [
                h["tokens"] for h in theirs["hypotheses"]
            ]
    assert failed > 5
    assert find_corpus(tmp_path, NAME)[0][1]["counts"]["undecoded: scores not finite"] == failed


def test_a_batch_that_is_split_keeps_its_length_limits(
    awkward: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts the padded batch, so a part of it has the limit of the whole."""
    limits = ["--max-len-a", "0.2", "--max-len-b", "1", "--max-tokens", "1200"]
    run(awkward, teacher, tmp_path / "whole", *limits)
    whole = records(tmp_path / "whole")
    decode = Decoder._decode_batch

    def only_one(self: Any, sample: Any) -> Any:
        if len(sample["id"]) > 1:
            raise AssertionError
        return decode(self, sample)

    monkeypatch.setattr(Decoder, "_decode_batch", only_one)
    run(awkward, teacher, tmp_path / "split", *limits)
    for ours, theirs in zip(records(tmp_path / "split"), whole, strict=True):
        for h, reference in zip(ours["hypotheses"], theirs["hypotheses"], strict=True):
            assert h["tokens"] == reference["tokens"]


def test_several_teachers(
    awkward: Path, teacher: Path, second_teacher: Path, tmp_path: Path
) -> None:
    run(awkward, Path(f"{teacher}:{second_teacher}"), tmp_path)
    assert len(find_corpus(tmp_path, NAME)[0][1]["settings"]["teacher_sha256"]) == 2
    assert len(records(tmp_path)) == 61


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([4, 4, 4, 4], True),
        ([4, 4, 4, 5, 4], False),
        ([9, 4, 5, 4, 5, 4, 5, 4, 5, 2], True),
        ([4, 5, 4, 5, 4, 5, 6], False),
        ([4, 5, 6, 7] * 4, True),
        ([4, 5, 6, 7, 8] * 4, False),
        ([], False),
    ],
)
def test_repetition(tokens: list[int], expected: bool) -> None:
    assert is_repetitive(tokens) is expected


def test_a_copied_source_is_noticed(awkward: Path) -> None:
    task = DistillationTask.of_data(str(awkward))
    pairs = read_subset(task, str(awkward), "train")
    reads: Any = SimpleNamespace(max_positions=lambda: (50, 50))
    work = Work(task, pairs, range(61), reads, Search())
    for row in (0, 1, 5, 30):  # an empty one, and one of unknown words
        source = pairs.src[row].tolist()
        for tokens in (source, [4, *source], [4, *source[1:]]):
            text = text_of(task.src_dict, tokens)
            assert text == task.src_dict.string(torch.tensor(tokens))
            assert work.copies(row, {"tokens": tokens, "text": text}) is (tokens == source)


def test_blocks_are_lines_of_json() -> None:
    odd = [{"id": 0, "text": "a\u2028b\x85ü\tc"}, {"id": 1, "text": ""}]
    assert list(unpack(pack(odd))) == odd
    assert pack(odd) == pack(json.loads(json.dumps(odd)))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--shard", "3/3"], "--shard 3/3 is no part; give I/N"),
        (["--shard", "all"], "--shard all is no part"),
        (["--beam", "0"], "--beam 0 is too small"),
        (["--nbest", "9"], "--nbest 9 is more than a --beam of 3 finds"),
        (["--fp16"], "--fp16 needs a GPU"),
        (["--subset", "dev"], "--subset dev: .* holds no dev set of xx-yy"),
        (["--path", "no.pt"], "--path no.pt does not exist"),
    ],
)
def test_bad_input(
    awkward: Path, teacher: Path, tmp_path: Path, flags: list[str], words: str
) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: {words}"):
        run(awkward, teacher, tmp_path, *flags)
    assert not list(tmp_path.iterdir())
