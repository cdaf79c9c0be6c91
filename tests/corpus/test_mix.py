"""Published mixtures of gold and teacher text, pair by pair, and what reads the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kd_plugin.commands import cli
from kd_plugin.tasks import DistillationTask

from .. import support
from ..support import TINY, distillation, fairseq_train
from . import made

Pairs = list[tuple[list[int], list[int]]]


@pytest.fixture(scope="module")
def corpus(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("mix") / "corpus", data, made.records_of(data, K=4))


def mix(data: Path, output: Path, *flags: object) -> Path:
    cli.main(["mix", str(data), "--output", str(output), *map(str, flags)])
    return output


def pairs(folder: Path, subset: str = "train") -> Pairs:
    found = DistillationTask.of_data(str(folder)).language_pairs(str(folder), subset)
    return [(s.tolist(), t.tolist()) for s, t in zip(found.src, found.tgt)]


def taught(data: Path, corpus: Path, copies: tuple[int, ...]) -> Pairs:
    gold = pairs(data)
    return [
        (gold[record["id"]][0], hypothesis["tokens"])
        for record in made.read(corpus)
        for hypothesis, times in zip(record["hypotheses"], copies)
        for _ in range(times)
    ]


def test_gordon_and_duhs_regimes(data: Path, corpus: Path, distilled: Path, tmp_path: Path) -> None:
    gold, best = pairs(data), taught(data, corpus, (1,))
    drop = ("--undecoded", "drop")
    base = mix(data, tmp_path / "base", "--part", "gold")
    assert pairs(base) == gold
    kd = mix(data, tmp_path / "kd", "--part", corpus, *drop)
    assert pairs(kd) == best
    both = mix(data, tmp_path / "both", "--part", "gold", "--part", corpus, *drop)
    assert pairs(both) == gold + best
    third = ("--part", distilled)
    bt = mix(data, tmp_path / "bt", "--part", "gold", "--part", corpus, *third, *drop)
    assert pairs(bt) == gold + best + pairs(distilled)
    best2 = mix(
        data, tmp_path / "best2", "--part", "gold", "--part", corpus, "--nbest", 2, *drop
    )  # fmt: skip
    assert pairs(best2) == gold + taught(data, corpus, (1, 1))
    for folder in (base, kd, both, bt, best2):
        for subset in ("valid", "test"):
            assert pairs(folder, subset) == pairs(data, subset)


def test_x1(data: Path, corpus: Path, tmp_path: Path) -> None:
    """Zouhar et al.: copies by rank and the gold twice."""
    flags = ("--part", "gold:2", "--part", corpus, "--copies", "4,3,2,1", "--undecoded", "drop")
    found = pairs(mix(data, tmp_path / "x1", *flags))
    assert found == 2 * pairs(data) + taught(data, corpus, (4, 3, 2, 1))
    told = json.loads((tmp_path / "x1" / "mix.json").read_text())
    assert [part["pairs"] for part in told["parts"]] == [300, len(found) - 300]
    assert told["parts"][1]["corpus"]["sha256"] == [made.manifest(corpus)["sha256"]]


def test_undecoded_sentences_as_binarise(data: Path, corpus: Path, tmp_path: Path) -> None:
    cli.main(["binarise", str(corpus), str(data), "--undecoded", "reference",
              "--output", str(tmp_path / "one")])  # fmt: skip
    other = mix(data, tmp_path / "two", "--part", corpus, "--undecoded", "reference")
    assert pairs(other) == pairs(tmp_path / "one")
    with pytest.raises(SystemExit, match=r"has no translation of line 37 of train \(empty\)"):
        mix(data, tmp_path / "three", "--part", "gold", "--part", corpus)
    assert not (tmp_path / "three").exists()


def test_tags(data: Path, corpus: Path, tmp_path: Path) -> None:
    words = DistillationTask.of_data(str(data)).source_dictionary
    out = mix(data, tmp_path / "out", "--part", "gold:2@w3", "--part", "gold")
    gold = pairs(data)
    tagged = [([words.index("w3"), *source], target) for source, target in gold]
    assert pairs(out) == tagged + tagged + gold
    with pytest.raises(SystemExit, match="the dictionary of sources has no '<bt>'"):
        mix(data, tmp_path / "none", "--part", "gold@<bt>")


def test_data_of_several_parts_become_one(data: Path, distilled: Path, tmp_path: Path) -> None:
    several = Path(shutil.copytree(data, tmp_path / "several"))
    for code in ("xx", "yy"):
        for ending in ("bin", "idx"):
            name = f"xx-yy.{code}.{ending}"
            shutil.copy(distilled / f"train.{name}", several / f"train1.{name}")
    out = mix(several, tmp_path / "out", "--part", "gold")
    assert pairs(out) == pairs(data) + pairs(distilled)
    assert not list(out.glob("train1.*"))


def test_students_and_stores_take_the_folder(
    data: Path, corpus: Path, teacher: Path, tmp_path: Path
) -> None:
    out = mix(
        data, tmp_path / "out", "--part", "gold", "--part", corpus, "--undecoded", "drop"
    )  # fmt: skip
    store = tmp_path / "store"
    cli.main(["cache", str(out), "--path", str(teacher), "--output", str(store), "--cpu"])
    flags = distillation("--criterion", "word_kd", "--teacher-store", store, "--max-update", 2)
    run = fairseq_train(out, tmp_path / "save", *TINY, *flags)
    assert run.stats("valid")
    with pytest.raises(ValueError, match=r"has \d+ sentences in train and the data has 150"):
        fairseq_train(
            data, tmp_path / "two", *TINY,
            *distillation("--criterion", "seq_kd", "--distilled-data", out, "--max-update", 1),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--part", "nothing"], "--part nothing is no folder; give gold"),
        (["--part", "gold:0"], "--part gold:0 is not understood"),
        (["--part", "gold", "--nbest", "0"], "--nbest 0 is too small"),
        (["--part", "OTHER"], "its dictionary of xx is not this run's"),
        (["--part", "EMPTY"], "holds no binarised corpus"),
    ],
)
def test_bad_input(data: Path, tmp_path: Path, flags: list[str], words: str) -> None:
    (tmp_path / "EMPTY").mkdir()
    support.reverse_dictionaries(data, tmp_path / "OTHER")
    for file in data.glob("train.*"):
        shutil.copy(file, tmp_path / "OTHER")
    named = [str(tmp_path / flag) if flag in ("OTHER", "EMPTY") else flag for flag in flags]
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: .*{words}"):
        mix(data, tmp_path / "out", *named)
    assert not (tmp_path / "out").exists()
