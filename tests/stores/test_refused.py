"""Stores that a run refuses, and corpora that make no store."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.stores.store import Store

from .. import support
from ..stored import (
    NAME,
    cache,
    damaged,
    records,
    rewrite,
    step_from,
    word_kd,
)
from ..support import TINY, build, distillation, fairseq_train


def read_all(data: Path, *flags: object) -> None:
    setup = build(data, *word_kd(*flags))
    setup.task.load_dataset("train")
    dataset = setup.task.dataset("train")
    for row in range(len(dataset)):
        dataset[row]


def refused(data: Path, *flags: object) -> str:
    with pytest.raises(InputError) as error:
        read_all(data, *flags)
    return str(error.value)


def test_a_reordered_corpus_is_refused_at_its_first_sentence(
    data: Path, top8: Path, tmp_path: Path
) -> None:
    order = list(range(150))
    order[40:] = order[:39:-1]
    other = rewrite(data, tmp_path / "bin", order)
    message = refused(other, "--teacher-store", top8)
    text = (data.with_name("bin.text") / "train.yy").read_text().splitlines()
    assert (
        "line 41 of train.xx-yy is not the one that it was written from; the data has "
        f"'{text[149]}'" in message
    )
    shorter = rewrite(data, tmp_path / "shorter", order[:99])
    assert "has 150 sentences of train.xx-yy and the data has 99" in refused(
        shorter, "--teacher-store", top8
    )


def test_a_store_of_a_smaller_corpus_is_refused_by_its_number(
    data: Path, teacher: Path, top8: Path, tmp_path: Path
) -> None:
    smaller = rewrite(data, tmp_path / "bin", list(range(99)))
    store = cache(smaller, teacher, tmp_path / "store")
    assert "has 99 sentences of train.xx-yy and the data has 150; write a store" in refused(
        data, "--teacher-store", store
    )


def test_a_damaged_byte_is_found_when_it_is_read(data: Path, top8: Path, tmp_path: Path) -> None:
    copy = damaged(top8, tmp_path)
    store = Store(copy, "train.xx-yy")
    content = bytearray((copy / NAME).read_bytes())
    content[int(store.starts[17]) * store.record.itemsize + 3] ^= 1
    (copy / NAME).write_bytes(content)
    assert f"{NAME} is damaged at sentence 18; copy it again, or" in refused(
        data, "--teacher-store", copy
    )


def test_truncated_swapped_and_unfinished_files(data: Path, teacher: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for shard in range(2):
        cache(data, teacher, store, "--subset", "train", "--shard", f"{shard}/2")
    names = [f"train.xx-yy.shard{shard}-of-2.store" for shard in range(2)]

    cut = damaged(store, tmp_path / "cut")
    with open(cut / names[1], "r+b") as file:
        file.truncate(100)
    assert "has 100 bytes and its manifest says" in refused(data, "--teacher-store", cut)

    swapped = damaged(store, tmp_path / "swapped")
    for ending in ("", ".index", ".manifest.json"):
        first, second = (swapped / (name + ending) for name in names)
        first.rename(tmp_path / "moved")
        second.rename(first)
        (tmp_path / "moved").rename(second)
    assert "holds shard 1/2 by its manifest" in refused(data, "--teacher-store", swapped)

    for ending, message in ((".manifest.json", "is not finished"), (".index", "its manifest says")):
        part = damaged(store, tmp_path / ending)
        (part / (names[1] + ending)).unlink()
        assert message in refused(data, "--teacher-store", part)

    mixed = damaged(store, tmp_path / "mixed")
    cache(data, teacher, tmp_path / "four", "--subset", "train", "--top-k", 4, "--shard", "1/2")
    for path in (tmp_path / "four").iterdir():
        shutil.copy(path, mixed)
    said = refused(data, "--teacher-store", mixed)
    assert re.search(r"was made with k 4 and .* says 8; run", said)


def test_foreign_stores(
    data: Path, teacher: Path, top8: Path, features: Path, tmp_path: Path
) -> None:
    assert "holds none" in refused(data, "--teacher-store", tmp_path)
    reverse = support.reverse_dictionaries(data, tmp_path / "dict")
    other = support.write_corpus(tmp_path / "bin", {"train": 9, "valid": 5}, 3, reverse)
    assert "has dictionary_sha256" in refused(other, "--teacher-store", top8)
    both = ("--teacher-store", top8, "--teacher-path", teacher)
    assert "are two teachers; give one of them" in refused(data, *both)
    swapped = ("--source-lang", "yy", "--target-lang", "xx")
    assert "holds none" in refused(data, "--teacher-store", top8, *swapped)
    for method, more, message in (
        ("annealing_kd", ("--anneal-updates", 3), "is a store of beliefs, .* reads features"),
        ("seq_kd", (), "reads none"),
        ("tie_kd", (), "--tie-iterations 3 reads prefixes that no store has"),
        ("label_smoothed_cross_entropy", (), "label_smoothed_cross_entropy does not read it"),
    ):
        command = distillation("--teacher-store", top8, "--criterion", method, *more)
        with pytest.raises(InputError, match=message):
            build(data, *TINY, *command)
    with pytest.raises(InputError, match=r"kept \(8\); give at most 8, or write another"):
        step_from(
            data, "word_kd", "--teacher-store", top8, "--kd-target", "top-k", "--kd-target-k", 9
        )


def test_sentences_without_records(data: Path, tmp_path: Path, top8: Path) -> None:
    """A teacher with few positions: refused, or skipped and then refused to a student with more."""
    flags = [*support.WIDER, "--max-source-positions", 7, "--max-target-positions", 7]
    stock = ["--criterion", "cross_entropy", "--max-update", 1]
    fairseq_train(data, tmp_path / "t", *flags, *stock, "--skip-invalid-size-inputs-valid-test")
    short = tmp_path / "t" / "checkpoint_last.pt"
    with pytest.raises(SystemExit, match=r"reads at most 7 .* --too-long skip"):
        cache(data, short, tmp_path / "store")
    store = cache(data, short, tmp_path / "store", "--too-long", "skip")
    message = refused(data, "--teacher-store", store)
    assert "has no records of line" in message
    setup = build(
        data, *word_kd("--teacher-store", store),
        "--max-source-positions", 7, "--max-target-positions", 7,
    )  # fmt: skip
    setup.task.load_dataset("train")


@pytest.mark.parametrize("command", ["cache", "datastore"])
def test_padding_as_a_word_of_a_target(
    command: str, data: Path, teacher: Path, tmp_path: Path
) -> None:
    """Training skips such a token, so a store would have fewer records than the line has words."""
    pairs = {"train": [("w1", "W1")] * 6, "valid": [("w1 <pad> w2", "W2 W1")]}
    pairs["train"][4] = ("w1 w2", "W2 <pad> W1")
    corpus = support.binarise(tmp_path / "bin", pairs, data)
    flags = ["--path", teacher, "--output", tmp_path / "store", "--cpu"]
    with pytest.raises(SystemExit, match=r"the target of line 5 in .* has the word <pad>, which"):
        cli.main([str(part) for part in (command, corpus, "--subset", "train", *flags)])
    cli.main([str(part) for part in ("cache", corpus, "--subset", "valid", *flags)])
    assert len(records(tmp_path / "store", "valid")) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--top-k", 99), r"--top-k 99 is more than the \d+ entries"),
        (("--top-k", 0), "--top-k 0 is too small"),
        (("--subset", "test2"), "holds no test2 set"),
        (("--shard", "2/2"), "--shard 2/2 is no part"),
        (("--fp16",), "--fp16 needs a GPU"),
    ],
)
def test_flags_that_make_no_sense(
    data: Path, teacher: Path, tmp_path: Path, flags: tuple[object, ...], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        cache(data, teacher, tmp_path / "store", *flags)
    assert not (tmp_path / "store").exists()


def test_features_of_an_lstm_are_refused(data: Path, second_teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--features needs teachers whose output is one matrix"):
        cache(data, second_teacher, tmp_path / "store", "--features")
