"""Two engines, one corpus: CTranslate2 finds what fairseq's own search finds, or says why not."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from kd_plugin.commands import cli
from kd_plugin.corpus.decoding import Decoder
from kd_plugin.corpus.records import find_corpus, read_corpus

from .. import support

NAME = "train.xx-yy"
SEARCH = ["--beam", "3", "--nbest", "2", "--max-len-b", "12", "--max-tokens", "40", "--cpu"]

# What CTranslate2 has places for: all of it stands in one of these.
PLAIN = ["--arch", "transformer", "--encoder-layers", 1, "--decoder-layers", 2, "--dropout", 0]
WIDTHS = [
    *("--encoder-embed-dim", 24, "--decoder-embed-dim", 24, "--encoder-ffn-embed-dim", 42),
    *("--decoder-ffn-embed-dim", 38, "--encoder-attention-heads", 3),
]
MODELS = {
    "post-norm": [*PLAIN, *WIDTHS, "--decoder-attention-heads", 4],
    "pre-norm": [
        *PLAIN, *WIDTHS, "--decoder-attention-heads", 2, "--encoder-normalize-before",
        "--decoder-normalize-before", "--encoder-learned-pos", "--decoder-learned-pos",
        "--layernorm-embedding", "--activation-fn", "gelu", "--no-scale-embedding",
        "--share-decoder-input-output-embed",
    ],
    "mixed": [
        *PLAIN, *WIDTHS, "--decoder-attention-heads", 1, "--encoder-normalize-before",
        "--decoder-learned-pos", "--activation-fn", "tanh",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small models that have learned when a translation ends."""
    found = {}
    for name, flags in MODELS.items():
        folder = tmp_path_factory.mktemp(name)
        support.fairseq_train(
            data, folder, *flags, "--criterion", "label_smoothed_cross_entropy",
            "--label-smoothing", 0.1, "--max-update", 120, "--max-epoch", 40,
        )  # fmt: skip
        found[name] = folder / "checkpoint_last.pt"
    return found


@pytest.fixture(scope="module")
def awkward(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 sentences: empty ones, unknown words, one too long, and sources that repeat."""
    generator = random.Random(7)
    lines = [" ".join(generator.choices(support.WORDS, k=1 + i % 11)) for i in range(80)]
    lines[0] = lines[17] = ""
    lines[5] = "never seen"
    lines[9] = "w1 " * 1100
    lines[30] = lines[41] = "w3 w4 w5"
    pairs = {"train": [(line, "W1") for line in lines], "valid": [("w1", "W1")]}
    return support.binarise(tmp_path_factory.mktemp("awkward") / "bin", pairs, data)


def run(data: Path, teacher: object, output: Path, *flags: object) -> Path:
    command = ["generate", data, "--path", teacher, "--output", output, *SEARCH, *flags]
    cli.main([str(part) for part in command])
    return output


def records(output: Path) -> list[dict[str, Any]]:
    return list(read_corpus(find_corpus(output, NAME)))


def settings(output: Path) -> dict[str, Any]:
    settings: dict[str, Any] = find_corpus(output, NAME)[0][1]["settings"]
    return settings


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "search",
    [
        ["--beam", 4, "--nbest", 4],
        ["--beam", 3, "--nbest", 1, "--max-len-a", 0.5, "--max-len-b", 4, "--lenpen", 0.6],
        ["--beam", 1, "--nbest", 1],
        ["--beam", 5, "--lenpen", 0, "--max-len-a", 1.3, "--max-len-b", 2],
        ["--beam", 2, "--max-len-b", 1],
    ],
    ids=lambda search: " ".join(map(str, search)),
)
def test_the_best_translation_is_fairseqs(
    models: dict[str, Path], awkward: Path, tmp_path: Path, model: str, search: list[object]
) -> None:
    """Tokens, score and caps of the best; no other is worse than fairseq's of that rank."""
    theirs = records(run(awkward, models[model], tmp_path / "f", *search, "--engine", "fairseq"))
    ours = records(run(awkward, models[model], tmp_path / "c", *search, "--engine", "ctranslate2"))
    for our, their in zip(ours, theirs, strict=True):
        assert {**our, "hypotheses": 0} == {**their, "hypotheses": 0}
        pairs = list(zip(our["hypotheses"], their["hypotheses"], strict=True))
        for rank, (h, reference) in enumerate(pairs):
            assert h["score"] > reference["score"] - 1e-4
            if rank == 0:
                assert {**h, "score": 0} == {**reference, "score": 0}
                assert h["score"] == pytest.approx(reference["score"], abs=1e-4)


def test_most_sentences_are_not_fairseqs(
    models: dict[str, Path], awkward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the test above had compared fairseq with itself."""
    theirs: list[int] = []
    decode_batch = Decoder.decode_batch

    def counted(self: Any, pairs: Any, rows: list[int], width: int) -> Any:
        theirs.extend(rows)
        return decode_batch(self, pairs, rows, width)

    monkeypatch.setattr(Decoder, "decode_batch", counted)
    for name, model in models.items():
        run(awkward, model, tmp_path / name, "--beam", 3, "--max-len-b", 30)
        assert len(theirs) < 25
        theirs.clear()
    run(awkward, models["mixed"], tmp_path / "short", "--beam", 2, "--max-len-b", 1)
    assert len(theirs) > 60


def test_an_untrained_teacher(awkward: Path, teacher: Path, tmp_path: Path) -> None:
    """It prefers empty translations and never ends others, so that nearly all is searched again."""
    theirs = records(run(awkward, teacher, tmp_path / "f", "--engine", "fairseq"))
    ours = records(run(awkward, teacher, tmp_path / "c"))
    for our, their in zip(ours, theirs, strict=True):
        for h, reference in zip(our["hypotheses"][:1], their["hypotheses"]):
            assert h["tokens"] == reference["tokens"]
            assert h["score"] == pytest.approx(reference["score"], abs=1e-4)


def test_what_the_manifest_says(models: dict[str, Path], awkward: Path, tmp_path: Path) -> None:
    made = settings(run(awkward, models["post-norm"], tmp_path / "a"))
    assert (made["engine"], made["engine_compute_type"]) == ("ctranslate2", "float32")
    assert set(made["versions"]) == {"kd-plugin", "fairseq", "torch", "python", "ctranslate2"}
    small = settings(run(awkward, models["post-norm"], tmp_path / "b", "--compute-type", "int8"))
    assert (small["engine"], small["engine_compute_type"]) == ("ctranslate2", "int8_float32")
    assert len(records(tmp_path / "b")) == 80
    for flags in (["--compute-type", "int8"], ["--engine", "fairseq"]):
        with pytest.raises(SystemExit, match=r"made with engine.* give another --output"):
            run(awkward, models["post-norm"], tmp_path / "a", *flags)


def test_killed_five_times_its_bytes_are_the_same(
    models: dict[str, Path], awkward: Path, tmp_path: Path
) -> None:
    model, context = models["post-norm"], multiprocessing.get_context("fork")
    run(awkward, model, tmp_path / "whole", "--block-size", 7)
    for wait in (0.05, 0.1, 0.2, 0.3, 0.5):
        process = context.Process(
            target=run, args=(awkward, model, tmp_path / "killed", "--block-size", 7)
        )
        process.start()
        time.sleep(wait)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    run(awkward, model, tmp_path / "killed", "--block-size", 7)
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "killed" / file.name).read_bytes() == file.read_bytes()


def test_shards_are_the_whole(models: dict[str, Path], awkward: Path, tmp_path: Path) -> None:
    whole = records(run(awkward, models["pre-norm"], tmp_path / "whole"))
    for shard in (2, 0, 1):
        run(awkward, models["pre-norm"], tmp_path / "parts", "--shard", f"{shard}/3")
    for ours, theirs in zip(records(tmp_path / "parts"), whole, strict=True):
        assert [h["tokens"] for h in ours["hypotheses"]] == [
            h["tokens"] for h in theirs["hypotheses"]
        ]


def test_nothing_of_the_converted_model_stays(
    models: dict[str, Path], awkward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    run(awkward, models["mixed"], tmp_path / "out")
    assert not list((tmp_path / "temporary").iterdir())


def test_auto_falls_back_and_says_why(
    awkward: Path, teacher: Path, second_teacher: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def said(name: str, path: object, *flags: object) -> str:
        capsys.readouterr()
        assert settings(run(awkward, path, tmp_path / name, *flags))["engine"] == "fairseq"
        lines = [line for line in capsys.readouterr().err.splitlines() if "CTranslate2" in line]
        (line,) = lines
        return line

    assert "one model and --path names 2" in said("two", f"{teacher}:{teacher}")
    assert "has no place for the architecture LSTMModel" in said("lstm", second_teacher)
    assert "--beam 12 of so few words" in said("beam", teacher, "--beam", 12)
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    assert said("none", teacher) == (
        "fairseq's search translates, because CTranslate2 is not installed"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--path", "TEACHER:TEACHER"], "translates with one model and .* give one checkpoint, or"),
        (["--path", "LSTM"], "has no place for the architecture LSTMModel"),
        (["--knnmt-datastore", "keys"], "knows no --knnmt-datastore keys; leave that out, or"),
        (["--beam", "12"], "searches no --beam 12 of so few words; give at most 11, or"),
    ],
)
def test_what_ctranslate2_cannot_do_is_an_error(
    awkward: Path, teacher: Path, second_teacher: Path, tmp_path: Path, flags: list[str], words: str
) -> None:
    flags = [f.replace("TEACHER", str(teacher)).replace("LSTM", str(second_teacher)) for f in flags]
    with pytest.raises(SystemExit, match=rf"--engine ctranslate2 {words}.*give --engine fairseq$"):
        run(awkward, teacher, tmp_path / "out", "--engine", "ctranslate2", *flags)
    assert not (tmp_path / "out").exists()


def test_without_the_library(
    awkward: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(SystemExit, match=r"ctranslate2 is not installed; type: pip .*, or"):
        run(awkward, teacher, tmp_path / "out", "--engine", "ctranslate2")
    with pytest.raises(SystemExit, match=r"int8 is CTranslate2's.*not installed; type: .* float32"):
        run(awkward, teacher, tmp_path / "out", "--compute-type", "int8")


def test_int8_of_fairseq_is_an_error(awkward: Path, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"--compute-type int8 is CTranslate2's.*; give float32$"):
        run(awkward, teacher, tmp_path / "o", "--engine", "fairseq", "--compute-type", "int8")


def test_a_model_of_this_plugin_is_told_by_name(data: Path, awkward: Path, tmp_path: Path) -> None:
    """``transformer_glu``, whose gates CTranslate2 would multiply in another order."""
    flags = [*support.TINY, "--task", "distillation", "--criterion", "seq_kd", "--max-update", 1]
    flags[flags.index("transformer")] = "transformer_glu"
    support.fairseq_train(data, tmp_path / "glu", "--user-dir", support.USER_DIR, *flags)
    path = tmp_path / "glu" / "checkpoint_last.pt"
    with pytest.raises(SystemExit, match="no place for the architecture TransformerGLU"):
        run(awkward, path, tmp_path / "out", "--engine", "ctranslate2")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--no-token-positional-embeddings"], "a model without positions"),
        (["--no-cross-attention"], "a decoder without attention to the source"),
        (["--cross-self-attention"], "attention to source and target together"),
        (["--activation-fn", "linear"], "the activation"),
        (
            ["--adaptive-softmax-cutoff", "9", "--criterion", "adaptive_loss"],
            "an adaptive softmax",
        ),
    ],
)
def test_parts_without_a_place_are_told_by_name(
    data: Path, awkward: Path, tmp_path: Path, flags: list[str], words: str
) -> None:
    criterion = [] if "--criterion" in flags else ["--criterion", "cross_entropy"]
    more = [*criterion, *flags, "--max-update", 1, "--ddp-backend", "legacy_ddp"]
    support.fairseq_train(data, tmp_path, *support.TINY, *more)
    with pytest.raises(SystemExit, match=f"--engine ctranslate2 has no place for {words}"):
        run(awkward, tmp_path / "checkpoint_last.pt", tmp_path / "o", "--engine", "ctranslate2")


def test_corpora_from_before_there_were_engines(
    awkward: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their settings say nothing of one: ``auto`` goes on with fairseq, and they are complete."""
    output = run(awkward, teacher, tmp_path / "old", "--engine", "fairseq", "--shard", "0/2")
    (manifest,) = output.glob("*.manifest.json")
    made = json.loads(manifest.read_text())
    assert made["settings"].pop("engine") == "fairseq"
    manifest.write_text(json.dumps(made))
    capsys.readouterr()
    run(awkward, teacher, output, "--shard", "0/2")
    assert "is complete: nothing to do" in capsys.readouterr().out
    with pytest.raises(
        SystemExit, match="made with engine fairseq and this command says ctranslate2"
    ):
        run(awkward, teacher, output, "--shard", "0/2", "--engine", "ctranslate2")
    run(awkward, teacher, output, "--shard", "1/2", "--engine", "fairseq")
    assert len(records(output)) == 80


def test_a_corpus_that_was_begun_before_there_were_engines(
    awkward: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(awkward, teacher, tmp_path / "whole", "--engine", "fairseq", "--block-size", 20)
    (path,) = whole.glob("*.gz")
    made = json.loads((whole / f"{path.name}.manifest.json").read_text())["settings"]
    del made["engine"]
    (tmp_path / "begun").mkdir()
    journal = tmp_path / "begun" / f"{path.name}.journal"
    journal.write_text(json.dumps({"settings": json.dumps(made)}) + "\n")
    run(awkward, teacher, tmp_path / "begun", "--block-size", 20)
    assert (tmp_path / "begun" / path.name).read_bytes() == path.read_bytes()
