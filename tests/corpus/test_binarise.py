"""From a teacher corpus to a data folder that training takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from kd_plugin.commands import cli
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.tasks import DistillationTask

from .. import support
from ..support import TINY, distillation, fairseq_train

NAME = "train.xx-yy"


def generate(data: Path, teacher: Path, output: Path, *flags: str) -> Path:
    command = ["generate", str(data), "--path", str(teacher), "--output", str(output), "--cpu"]
    cli.main([*command, "--beam", "2", "--max-len-b", "9", *flags])
    return output


def binarise(corpus: Path, data: Path, output: Path, *flags: str) -> Path:
    cli.main(["binarise", str(corpus), str(data), "--output", str(output), *flags])
    return output


@pytest.fixture(scope="module")
def corpus(data: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("corpus")
    for shard in range(2):
        generate(data, teacher, output, "--shard", f"{shard}/2")
    return output


@pytest.fixture(scope="module")
def holes(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with two pairs that cannot be translated."""
    pairs = {"train": [("w1", "W1"), ("", "W2"), ("w3 w4", "W3"), ("", "W4"), ("w5", "W5")]}
    return support.binarise(tmp_path_factory.mktemp("holes") / "bin", pairs, data)


def test_targets_are_the_best_translations(corpus: Path, data: Path, tmp_path: Path) -> None:
    output = binarise(corpus, data, tmp_path / "distilled")
    task = DistillationTask.of_data(str(output))
    ours, theirs = (task.language_pairs(str(f), "train") for f in (output, data))
    records = list(read_corpus(find_corpus(corpus, NAME)))
    assert len(ours) == len(theirs) == len(records) == 150
    for row, record in enumerate(records):
        torch.testing.assert_close(ours.src[row], theirs.src[row])
        assert ours.tgt[row].tolist() == record["hypotheses"][0]["tokens"]
    for name in ("valid", "test"):
        ours, theirs = (task.language_pairs(str(f), name) for f in (output, data))
        assert [t.tolist() for t in ours.tgt] == [t.tolist() for t in theirs.tgt]
    for name in ("dict.xx.txt", "dict.yy.txt"):
        assert (output / name).read_bytes() == (data / name).read_bytes()


def test_training_takes_the_folder(corpus: Path, data: Path, tmp_path: Path) -> None:
    output = binarise(corpus, data, tmp_path / "distilled")
    flags = distillation("--criterion", "seq_kd", "--max-update", 2)
    second = fairseq_train(data, tmp_path / "two", *TINY, *flags, "--distilled-data", output)
    alone = fairseq_train(output, tmp_path / "one", *TINY, *flags)
    assert second.stats("valid")[-1]["ppl"] == pytest.approx(
        alone.stats("valid")[-1]["ppl"], rel=0.2
    )


@pytest.mark.parametrize(
    ("undecoded", "targets", "sources"),
    [("drop", 3, ["w1", "w3 w4", "w5"]), ("reference", 5, ["w1", "", "w3 w4", "", "w5"])],
)
def test_pairs_without_a_translation(
    holes: Path, teacher: Path, tmp_path: Path, undecoded: str, targets: int, sources: list[str]
) -> None:
    corpus = generate(holes, teacher, tmp_path / "corpus")
    output = binarise(corpus, holes, tmp_path / "out", "--undecoded", undecoded)
    task = DistillationTask.of_data(str(output))
    pairs = task.language_pairs(str(output), "train")
    assert len(pairs) == targets
    assert [task.src_dict.string(source) for source in pairs.src] == sources
    if undecoded == "reference":
        assert [task.tgt_dict.string(pairs.tgt[row]) for row in (1, 3)] == ["W2", "W4"]


def refused(words: str, *arguments: object) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
        cli.main(["binarise", *map(str, arguments)])


def test_pairs_without_a_translation_stop_it(holes: Path, teacher: Path, tmp_path: Path) -> None:
    corpus = generate(holes, teacher, tmp_path / "corpus")
    words = r"has no translation of line 2 of train \(empty\); .* --undecoded drop or"
    refused(words, corpus, holes, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_missing_or_unfinished(corpus: Path, data: Path, tmp_path: Path) -> None:
    part = shutil.copytree(corpus, tmp_path / "part")
    (second, _) = find_corpus(part, NAME)[1]
    second.rename(tmp_path / "away")
    refused("is not finished; run fairseq-kd generate --shard 1/2", part, data, "--output", "x")
    shutil.copy(tmp_path / "away", second)
    second.write_bytes(second.read_bytes()[:-1])
    refused("has changed since it was written", part, data, "--output", "x")
    refused("holds none; name the --output of", tmp_path, data, "--output", "x")


def test_shards_of_different_commands(
    corpus: Path, data: Path, teacher: Path, tmp_path: Path
) -> None:
    generate(data, teacher, tmp_path, "--shard", "0/2")
    generate(data, teacher, tmp_path, "--shard", "1/2", "--lenpen", "0.5")
    refused(
        r"was made with search.lenpen 0.5 and .* says 1.0; run",
        tmp_path,
        data,
        "--output",
        tmp_path / "out",
    )


def test_another_corpus(corpus: Path, holes: Path, data: Path, tmp_path: Path) -> None:
    refused("translates other sources than train of", corpus, holes, "--output", tmp_path / "out")
    refused("holds no dev set of xx-yy", corpus, data, "--output", "x", "--subset", "dev")
    refused("exists; give another, or remove it", corpus, data, "--output", tmp_path)
