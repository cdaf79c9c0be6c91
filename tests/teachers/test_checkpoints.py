"""Broken, foreign and hostile teachers get one line that says what to do."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.errors import InputError

from .. import support
from ..support import TINY, build, distillation


def load(data: Path, teacher: object, *flags: object) -> Any:
    command = ["--criterion", "word_kd", "--teacher-path", teacher, *flags]
    return build(data, *TINY, *distillation(*command)).criterion.teacher


def refused(data: Path, teacher: object, words: str, *flags: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(data, teacher, *flags)
    assert "\n" not in str(caught.value)
    assert "--teacher" in str(caught.value)


def changed(teacher: Path, path: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a checkpoint with one thing changed."""
    state = support.load(teacher)
    change(state)
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def reordered(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same corpus with the same words in another order of the dictionaries."""
    folder = tmp_path_factory.mktemp("reordered")
    words = support.reverse_dictionaries(data, folder / "words")
    return support.write_corpus(folder / "bin", {"train": 150, "valid": 23}, dictionary=words)


def train(data: Path, folder: Path, *flags: object) -> Path:
    support.fairseq_train(data, folder, *TINY, *flags)
    return folder / "checkpoint_last.pt"


def stock(updates: int = 1) -> list[object]:
    return ["--criterion", "cross_entropy", "--max-update", updates, "--disable-validation"]


def test_missing(data: Path, tmp_path: Path) -> None:
    refused(data, tmp_path / "no.pt", "no.pt does not exist; name a checkpoint file")


def test_folder(data: Path, teacher: Path) -> None:
    refused(data, teacher.parent, "is no file; name a checkpoint file")
    refused(data, os.devnull, "is no file")


def test_an_empty_name(data: Path, teacher: Path) -> None:
    refused(data, f"{teacher}:", "has an empty name between colons")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated(data: Path, teacher: Path, tmp_path: Path, share: float) -> None:
    content = teacher.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(content[: int(share * len(content))])
    refused(data, path, "is damaged or truncated; copy or train it again")


@pytest.mark.parametrize(
    "content",
    [b"To be or not to be", pickle.dumps({"weights": [1, 2]}), pickle.dumps(7)],
    ids=["text", "pickle", "number"],
)
def test_another_file(data: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    refused(data, path, "is not a fairseq checkpoint; give a file that fairseq-train wrote")


@pytest.mark.parametrize(
    "state", [{"a": 1}, [1], torch.zeros(3), {"model": {}}, {"cfg": None, "model": {}}], ids=str
)
def test_another_torch_file(data: Path, tmp_path: Path, state: Any) -> None:
    path = tmp_path / "other.pt"
    torch.save(state, path)
    refused(data, path, "is not a fairseq checkpoint; give a file that fairseq-train wrote")


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch /nowhere/at/all",)


def test_hostile(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "hostile.pt"
    torch.save({"model": {}, "cfg": Hostile()}, path)
    refused(data, path, r"holds \w+\.system, which torch's safe loading refuses")


def test_weights_that_do_not_fit(data: Path, teacher: Path, tmp_path: Path) -> None:
    def drop(state: Any) -> None:
        del state["model"]["decoder.layers.0.fc1.weight"]

    path = changed(teacher, tmp_path / "t.pt", drop)
    refused(data, path, r"cannot be built .*decoder\.layers\.0\.fc1\.weight")


def test_weights_that_are_not_finite(data: Path, teacher: Path, tmp_path: Path) -> None:
    def spoil(state: Any) -> None:
        state["model"]["decoder.layers.0.fc1.weight"][3, 2] = float("nan")

    refused(data, changed(teacher, tmp_path / "t.pt", spoil), "weights that are not finite")


def test_an_unknown_architecture(data: Path, teacher: Path, tmp_path: Path) -> None:
    def rename(state: Any) -> None:
        state["cfg"]["model"]._name = state["cfg"]["model"].arch = "nobodys"

    path = changed(teacher, tmp_path / "t.pt", rename)
    refused(data, path, "its architecture nobodys cannot be built .* needs that plugin")


def test_other_direction(data: Path, tmp_path: Path) -> None:
    path = train(data, tmp_path / "back", *stock(), "-s", "yy", "-t", "xx")
    refused(data, path, "translates yy-xx and this run xx-yy")


def test_other_direction_that_only_the_data_tells(data: Path, tmp_path: Path) -> None:
    """A run that inferred its languages does not write them into its checkpoint."""
    folder = tmp_path / "mirrored"
    folder.mkdir()
    for file in data.iterdir():
        name = file.name.replace("xx-yy.xx", "yy-xx.xx").replace("xx-yy.yy", "yy-xx.yy")
        shutil.copy(file, folder / name)
    path = train(folder, tmp_path / "back", *stock())
    assert support.load(path)["cfg"]["task"]["source_lang"] is None
    refused(data, path, "translates yy-xx and this run xx-yy")


def test_another_size_of_dictionary(data: Path, tmp_path: Path) -> None:
    pairs = {split: [("w0 w1", "W0 W1")] * 9 for split in ("train", "valid")}
    other = support.binarise(tmp_path / "other", pairs)
    path = train(other, tmp_path / "t", *stock())
    refused(data, path, r"dict.xx.txt is not this run's: it has \d+ entries and this run's \d+")
    shutil.rmtree(other)
    refused(data, path, r"knows \d+ encoder tokens and this run's dictionary of xx has \d+")


def test_another_order_of_the_dictionary(data: Path, reordered: Path, tmp_path: Path) -> None:
    path = train(reordered, tmp_path / "t", *stock())
    refused(data, path, r"entry 4 is 'w\d+' here and there '\w+' \(the same entries in another")


def test_another_order_that_the_hash_tells(data: Path, reordered: Path, tmp_path: Path) -> None:
    """A checkpoint of our own task is known without its data."""
    moved = shutil.copytree(reordered, tmp_path / "moved")
    flags = distillation("--criterion", "seq_kd", "--max-update", 1, "--disable-validation")
    path = train(moved, tmp_path / "t", *flags)
    shutil.rmtree(moved)
    refused(data, path, "dictionary of xx is not this run's .* records sha256")


def test_another_order_that_only_results_tell(data: Path, reordered: Path, tmp_path: Path) -> None:
    """A stock checkpoint whose data is gone: it must do better than word frequencies."""
    moved = shutil.copytree(reordered, tmp_path / "moved")
    path = train(moved, tmp_path / "t", *stock(60))
    shutil.rmtree(moved)
    refused(data, path, "where word frequencies alone need .* give --teacher-data DIR")
    words = "dict.xx.txt is not this run's"
    refused(data, path, words, "--teacher-data", reordered)


def test_a_teacher_whose_data_is_gone(data: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(data, tmp_path / "moved")
    path = train(moved, tmp_path / "t", *stock(60))
    shutil.rmtree(moved)
    assert load(data, path).identity.startswith("live.")  # better than word frequencies
    weak = train(data, tmp_path / "weak", *stock())

    def forget(state: Any) -> None:
        state["cfg"]["task"]["data"] = "gone"

    weak = changed(weak, tmp_path / "weak.pt", forget)
    refused(data, weak, "nothing shows that its dictionary is this run's")
    assert load(data, weak, "-s", "xx", "-t", "yy", "--teacher-data", data) is not None


def test_a_folder_without_dictionaries(data: Path, teacher: Path, tmp_path: Path) -> None:
    refused(data, teacher, r"holds no dict.xx.txt", "--teacher-data", tmp_path)


def test_too_few_positions(data: Path, tmp_path: Path) -> None:
    short = ["--max-source-positions", 6, "--max-target-positions", 6]
    path = train(data, tmp_path / "t", *stock(), *short)
    setup = build(data, *TINY, *distillation("--criterion", "word_kd", "--teacher-path", path))
    for split in ("train", "valid"):
        with pytest.raises(
            InputError,
            match=rf"reads at most 6 source tokens and line \d+ of {split} has \d+; .* "
            "--max-source-positions 6",
        ):
            setup.task.load_dataset(split)
    setup = build(
        data, *TINY, *distillation("--criterion", "word_kd", "--teacher-path", path), *short
    )
    setup.task.load_dataset("train")


def test_a_teacher_that_nobody_uses(data: Path, teacher: Path) -> None:
    for flag, value in (("--teacher-path", teacher), ("--distilled-data", data)):
        with pytest.raises(
            InputError, match=f"{flag} .* --criterion cross_entropy does not read it"
        ):
            build(data, *TINY, *distillation("--criterion", "cross_entropy", flag, value))
    with pytest.raises(InputError, match=r"--teacher-data .* none is given"):
        build(data, *TINY, *distillation("--criterion", "seq_kd", "--teacher-data", data))
