"""``fairseq-kd cache``, and training from what it wrote."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kd_plugin.commands import cli
from kd_plugin.errors import InputError
from kd_plugin.stores.layout import as_bytes
from kd_plugin.stores.store import Store
from kd_plugin.teachers import recording

from .. import support
from ..stored import (
    METHODS,
    assert_stores_equal,
    cache,
    damaged,
    interrupt,
    records,
    rewrite,
    step_from,
    weights,
    word_kd,
)
from ..support import TINY, build, distillation, fairseq_train, fairseq_validate


def test_records_are_what_the_teacher_says(data: Path, teacher: Path, top8: Path) -> None:
    """Every column of every token of valid, from the teacher's probabilities, token by token."""
    setup = build(data, *TINY, *distillation("--criterion", "word_kd", "--teacher-path", teacher))
    setup.task.load_dataset("valid")
    pairs, found, start = setup.task.dataset("valid"), records(top8, "valid"), 0
    model = setup.task.teacher.models[0].double()
    for row in range(23):
        sample = pairs.collater([pairs[row]])
        log_q = model(**sample["net_input"])[0][0].log_softmax(-1)
        for position, y in enumerate(sample["target"][0].tolist()):
            record, q = found[start], log_q[position].exp().tolist()
            order = sorted(range(len(q)), key=lambda v, q=q: -q[v])[:8]  # type: ignore[misc]
            assert record["ids"].tolist() == order
            expected = [math.log(q[v]) for v in order]
            assert record["log_q"].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-6)
            assert record["rest"].item() == pytest.approx(1 - sum(q[v] for v in order), rel=2e-3)
            entropy = -sum(p * math.log(p) for p in q)
            assert record["entropy"].item() == pytest.approx(entropy, rel=1e-3)
            assert record["gold"].item() == pytest.approx(math.log(q[y]), rel=1e-3)
            start += 1
    assert start == len(found)


def test_top_8_takes_at_most_40_bytes_a_token(
    top8: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = sum(path.stat().st_size for path in top8.glob("train.*") if path.suffix != ".json")
    assert size / len(records(top8)) <= 40


def test_batches_and_blocks_change_no_record(data: Path, teacher: Path, tmp_path: Path) -> None:
    flags = ("--subset", "train", "--dtype", "float32")
    one = cache(data, teacher, tmp_path / "one", *flags)
    many = cache(data, teacher, tmp_path / "many", *flags, "--max-tokens", 30, "--block-size", 7)
    ours, theirs = records(one), records(many)
    for name in ("log_q", "rest", "entropy", "gold"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=2e-6)
    assert (ours["ids"] == theirs["ids"]).mean() > 0.999  # ties apart


def test_shards_together_are_the_whole(
    data: Path, teacher: Path, top8: Path, tmp_path: Path
) -> None:
    for shard in range(3):
        cache(data, teacher, tmp_path, "--subset", "valid", "--shard", f"{shard}/3")
    ours, theirs = (Store(folder, "valid.xx-yy") for folder in (tmp_path, top8))
    assert len(ours) == len(theirs) == 23
    for row in range(23):
        assert ours.read(row)["ids"].tolist() == theirs.read(row)["ids"].tolist()


def test_an_interrupted_store_ends_in_the_same_bytes(
    data: Path, teacher: Path, top8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in each of its blocks, with half a block written behind the last journal line."""

    def run() -> Path:
        return cache(data, teacher, tmp_path / "store", "--block-size", 37)

    interrupt(monkeypatch, recording.Recorder, 5, run, tmp_path / "store")
    assert_stores_equal(run(), top8)


def test_a_finished_store_is_not_written_again(
    data: Path, teacher: Path, top8: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache(data, teacher, top8, "--block-size", 37)
    assert capsys.readouterr().out.count("is complete: nothing to do") == 2
    with pytest.raises(SystemExit, match=r"was made with .*: give another --output"):
        cache(data, teacher, top8, "--block-size", 37, "--top-k", 4)


# Training from a store


def assert_same_step(ours: Any, theirs: Any, tolerance: float) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=tolerance, atol=0)
    assert ours[1] == theirs[1]
    assert set(ours[2]) == set(theirs[2])
    for name, value in theirs[2].items():
        torch.testing.assert_close(
            torch.as_tensor(ours[2][name]).double(),
            torch.as_tensor(value).double(), rtol=10 * tolerance, atol=1e-6,
        )  # fmt: skip
    norm = sum(gradient.square().sum() for gradient in theirs[3].values()) ** 0.5
    apart = sum((ours[3][n] - g).square().sum() for n, g in theirs[3].items()) ** 0.5
    assert apart / norm < tolerance


@pytest.mark.parametrize("name", METHODS)
def test_a_whole_store_is_the_live_teacher(
    name: str, data: Path, teacher: Path, distilled: Path, whole: Path
) -> None:
    more = ("--distilled-data", distilled) if name == "hybrid_kd" else ()
    live = step_from(data, name, "--teacher-path", teacher, *more)
    assert_same_step(step_from(data, name, "--teacher-store", whole, *more), live, 1e-6)


@pytest.mark.parametrize("name", [*METHODS, "annealing_kd"])
def test_stored_features_are_the_live_teacher(
    name: str, data: Path, teacher: Path, distilled: Path, features: Path
) -> None:
    more: tuple[object, ...] = ("--distilled-data", distilled) if name == "hybrid_kd" else ()
    if name == "annealing_kd":
        more = ("--anneal-updates", 9, "--anneal-logits", "raw")
    live = step_from(data, name, "--teacher-path", teacher, *more)
    assert_same_step(step_from(data, name, "--teacher-store", features, *more), live, 1e-6)


@pytest.mark.parametrize(("kind", "flags"), [
    ("features", ("--features",)), ("top3", ("--top-k", 3)), ("neighbours", ()),
])  # fmt: skip
def test_a_batch_of_one_token(
    kind: str, flags: tuple[object, ...], data: Path, teacher: Path, tmp_path: Path
) -> None:
    """Each column of a single record of float32, wherever in the record it begins."""
    name = "knn_kd" if kind == "neighbours" else "word_kd"
    if kind == "neighbours":
        keys = tmp_path / "keys"
        cli.main(["datastore", str(data), "--path", str(teacher), "--output", str(keys), "--cpu"])
        more = ["--k", "3", "--dtype", "float32", "--output", str(tmp_path / "store")]
        cli.main(["neighbours", str(keys), "--subset", "train", *more])
    else:
        cache(data, teacher, tmp_path / "store", "--dtype", "float32", *flags)
    command = ("--criterion", name, "--teacher-store", tmp_path / "store")
    store = build(data, *TINY, *distillation(*command)).task.store
    stored = as_bytes(records(tmp_path / "store"))
    for column in store.record.names:
        values = store.column(stored, column, torch.float64)
        for row in (0, 1, 2):
            one = store.column(stored[row : row + 1].clone(), column, torch.float64)
            assert one[0].tolist() == values[row].tolist(), column


def test_tie_kd_reads_a_store_first_and_then_its_teacher(
    data: Path, teacher: Path, whole: Path
) -> None:
    live = step_from(data, "tie_kd", "--teacher-path", teacher, "--tie-iterations", 3)
    both = ("--teacher-path", teacher, "--teacher-store", whole, "--tie-iterations", 3)
    assert_same_step(step_from(data, "tie_kd", *both), live, 1e-6)


def test_the_teachers_text_has_a_store_of_its_own(
    data: Path, distilled: Path, teacher: Path, vocabulary: int, tmp_path: Path
) -> None:
    """word_kd reads the teacher's text where there is one, so the store is of that text."""
    more = ("--top-k", vocabulary, "--dtype", "float32")
    store = cache(distilled, teacher, tmp_path / "store", *more)
    texts = ("--distilled-data", distilled)
    live = step_from(data, "word_kd", "--teacher-path", teacher, *texts)
    assert_same_step(step_from(data, "word_kd", "--teacher-store", store, *texts), live, 1e-6)


def test_an_ensemble_is_stored_as_the_mean_of_its_probabilities(
    data: Path, teacher: Path, second_teacher: Path, vocabulary: int, tmp_path: Path
) -> None:
    both = f"{teacher}:{second_teacher}"
    store = cache(data, both, tmp_path / "store", "--top-k", vocabulary, "--dtype", "float32")
    live = step_from(data, "word_kd", "--teacher-path", both)
    assert_same_step(step_from(data, "word_kd", "--teacher-store", store), live, 1e-6)


def test_training_from_a_store_is_training_with_the_teacher(
    data: Path, teacher: Path, whole: Path, tmp_path: Path
) -> None:
    """Update by update, over an epoch's shuffles and in validation."""
    plain = ("--optimizer", "sgd", "--lr", 0.1)  # Adam makes updates of gradients that are noise
    live = fairseq_train(data, tmp_path / "live", *word_kd("--teacher-path", teacher, *plain))
    flags = word_kd("--teacher-store", whole, "--num-workers", 2, *plain)
    ours = fairseq_train(data, tmp_path / "ours", *flags)
    torch.testing.assert_close(
        weights(tmp_path / "ours"), weights(tmp_path / "live"), rtol=0, atol=2e-6
    )
    for tag in ("train_inner", "valid"):
        for mine, theirs in zip(ours.stats(tag), live.stats(tag), strict=True):
            for key in ("loss", "kd_loss", "nll_loss", "agreement", "teacher_nll_loss"):
                assert mine[key] == pytest.approx(theirs[key], abs=2e-3), key
    assert any("|teacher:store.top" in line and ".uniform." in line for line in ours.lines)


def test_batches_do_not_matter_to_a_store(data: Path, top8: Path, tmp_path: Path) -> None:
    """All 150 sentences as one batch, or as uneven batches with --update-freq."""
    flags = word_kd("--teacher-store", top8, "--max-update", 3, "--optimizer", "sgd", "--lr", 0.1)
    fairseq_train(data, tmp_path / "one", *flags, "--max-tokens", 5000)
    fairseq_train(data, tmp_path / "many", *flags, "--update-freq", 50)
    torch.testing.assert_close(
        weights(tmp_path / "one"), weights(tmp_path / "many"), rtol=2e-5, atol=2e-5
    )


def test_an_upsampled_set_of_two_parts(
    data: Path, teacher: Path, vocabulary: int, tmp_path: Path
) -> None:
    """train twice and train1 once, each part with its store."""
    pairs: dict[str, list[tuple[str, str]]] = {}
    text = data.with_name("bin.text")
    for split, source in (("train", "train"), ("train1", "valid"), ("valid", "test")):
        sides = ((text / f"{source}.{code}").read_text().splitlines() for code in ("xx", "yy"))
        pairs[split] = list(zip(*sides))
    folder = support.binarise(
        tmp_path / "bin", {k: v for k, v in pairs.items() if k != "train1"}, data
    )
    more = support.binarise(tmp_path / "more", {"train": pairs["train1"]}, data)
    for path in more.glob("train.*"):
        shutil.copy(path, folder / path.name.replace("train.", "train1.", 1))
    more_flags = ("--subset", "train,train1,valid", "--top-k", vocabulary)
    store = cache(folder, teacher, tmp_path / "store", *more_flags)
    upsampled = ("--upsample-primary", 2)
    flags = word_kd("--teacher-store", store, *upsampled, "--max-update", 3)
    ours = fairseq_train(folder, tmp_path / "ours", *flags, "--max-tokens", 9000)
    flags = word_kd("--teacher-path", teacher, *upsampled, "--max-update", 3)
    live = fairseq_train(folder, tmp_path / "live", *flags, "--max-tokens", 9000)
    assert ours.stats("train_inner")[0]["bsz"] == 2 * 150 + 23
    for mine, theirs in zip(ours.stats("train_inner"), live.stats("train_inner"), strict=True):
        for key in ("teacher_nll_loss", "kd_loss"):
            assert mine[key] == pytest.approx(theirs[key], abs=4e-3)


def test_two_data_folders_have_two_stores(
    data: Path, distilled: Path, teacher: Path, top8: Path, tmp_path: Path
) -> None:
    other = cache(distilled, teacher, tmp_path / "store")
    flags = word_kd("--teacher-store", f"{top8}:{other}", "--max-epoch", 2, "--max-update", 0)
    run = fairseq_train(f"{data}:{distilled}", tmp_path / "run", *flags)
    assert len(run.stats("train")) == 2
    with pytest.raises(InputError, match=r"names 1 folder\(s\) and the data 2"):
        build(f"{data}:{distilled}", *word_kd("--teacher-store", top8))


def test_without_a_valid_part_validation_tells_gold_metrics(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    store = cache(data, teacher, tmp_path / "store", "--subset", "train")
    run = fairseq_train(data, tmp_path / "run", *word_kd("--teacher-store", store))
    assert "kd_loss" in run.stats("train")[-1]
    assert "kd_loss" not in run.stats("valid")[-1]
    assert (
        sum("has no valid set: it is evaluated on gold metrics" in line for line in run.lines) == 1
    )


def test_validating_again_reads_the_store(
    data: Path, top8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """fairseq-validate finds the store by the checkpoint; where it is gone, gold metrics stay."""
    store = damaged(top8, tmp_path)
    run = fairseq_train(data, tmp_path / "run", *word_kd("--teacher-store", store))
    found = []
    for gone in (False, True):
        if gone:
            shutil.rmtree(store)
        again = fairseq_validate(data, tmp_path / "run" / "checkpoint_last.pt", capsys)
        found.append(again.stats("valid")[-1])
    for key in ("loss", "kd_loss", "nll_loss", "teacher_nll_loss"):
        assert found[0][key] == pytest.approx(run.stats("valid")[-1][key], abs=2e-3), key
    assert "kd_loss" not in found[1]
    assert found[1]["nll_loss"] == pytest.approx(found[0]["nll_loss"], abs=2e-3)


# --info and --verify


def test_info(data: Path, top8: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["cache", str(data), "--output", str(top8), "--info", "--subset", "train"])
    printed = capsys.readouterr().out
    kept = np.exp(records(top8)["log_q"].astype(float))
    assert f"{kept[:, 0].mean():.4f} by 1, {kept[:, :2].sum(1).mean():.4f} by 2" in printed
    assert f"{kept.sum(1).mean():.4f} by 8; the others: --tail uniform" in printed
    assert "beliefs, 150 sentences" in printed


@pytest.mark.parametrize("kind", ["top8", "features", "whole"])
def test_verify(
    kind: str, data: Path, teacher: Path, request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    cache(data, teacher, request.getfixturevalue(kind), "--verify")
    printed = capsys.readouterr().out
    lines = re.findall(r"(\S+) of the loss, (\S+) of its gradient", printed)
    assert len(lines) == 6  # of two subsets
    term, step, truncation = (max(map(float, numbers)) for numbers in lines[:3])
    assert step < (1e-3 if kind == "top8" else 1e-5)
    assert term < (5e-3 if kind == "top8" else 1e-5)  # the teacher is nearly uniform
    assert truncation > 1e-2 if kind == "top8" else truncation < 1e-5


def test_verify_tells_what_is_wrong(
    data: Path, teacher: Path, second_teacher: Path, top8: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="was written with another teacher than --path"):
        cache(data, second_teacher, top8, "--verify")
    order = [1, 0, *range(2, 150)]
    other = rewrite(data, tmp_path / "bin", order)
    with pytest.raises(SystemExit, match="line 1 of train"):
        cache(other, teacher, top8, "--verify")
