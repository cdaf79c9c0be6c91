"""What identifies the sentences of a subset, and which folders belong to which data."""

import shutil
from pathlib import Path

import pytest

from kd_plugin.data.subset import (
    fingerprint,
    folder_for_each,
    language_pairs,
    read_subset,
    require_binarised,
)
from kd_plugin.errors import InputError
from kd_plugin.tasks.distillation import DistillationTask


def test_folders_are_as_many_as_those_of_the_data_and_as_they_were_typed() -> None:
    assert folder_for_each("one:/two", "a:b", "--distilled-data one:/two") == ["one", "/two"]
    with pytest.raises(InputError, match=r"--x one names 1 folder\(s\) and the data 2; give one"):
        folder_for_each("one", "a:b", "--x one")


def test_a_fingerprint_is_of_ids_and_of_where_sentences_end(data: Path) -> None:
    task = DistillationTask.of_data(str(data))
    pairs = language_pairs(task, str(data), "train")
    other = language_pairs(task, str(data), "valid")
    assert fingerprint(pairs.src, pairs.src_sizes) == fingerprint(pairs.src, pairs.src_sizes)
    assert fingerprint(pairs.src, pairs.src_sizes) != fingerprint(other.src, other.src_sizes)
    joined = [pairs.src[0].new_tensor([1, 2]), pairs.src[0].new_tensor([3])]
    cut = [pairs.src[0].new_tensor([1]), pairs.src[0].new_tensor([2, 3])]
    sizes = pairs.src_sizes[:2]
    sizes_joined, sizes_cut = sizes * 0 + [2, 1], sizes * 0 + [1, 2]
    assert fingerprint(joined, sizes_joined) != fingerprint(cut, sizes_cut)


def test_what_is_no_subset_and_no_corpus_is_named(data: Path, tmp_path: Path) -> None:
    task = DistillationTask.of_data(str(data))
    with pytest.raises(InputError, match=r"--subset dev: .* holds no dev set of xx-yy"):
        read_subset(task, str(data), "dev")
    with pytest.raises(InputError, match="holds no binarised corpus"):
        require_binarised(str(tmp_path), None, None)
    with pytest.raises(InputError, match=r"--source-lang zz is no language of .*; give one of"):
        require_binarised(str(data), "zz", None)


def test_a_training_set_of_two_parts_is_each_of_them_once(data: Path, tmp_path: Path) -> None:
    """By fairseq's default, which repeats the first part -1 times."""
    both = shutil.copytree(data, tmp_path / "both")
    for file in data.glob("valid.*"):
        shutil.copy(file, both / file.name.replace("valid.", "train1.", 1))
    task = DistillationTask.of_data(str(both))
    assert task.cfg.upsample_primary == -1
    parts = [language_pairs(task, str(data), split) for split in ("train", "valid")]
    pairs = language_pairs(task, str(both), "train", combine=True)
    assert pairs.tgt_sizes.tolist() == [n for part in parts for n in part.tgt_sizes]
    assert pairs.src[len(parts[0])].equal(parts[1].src[0])
