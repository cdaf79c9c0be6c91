"""Out-of-fold teachers: nobody teaches what it saw, and what is merged is what each one said."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd_plugin.commands import cli
from kd_plugin.corpus.assignment import Assignment
from kd_plugin.corpus.records import find_corpus, read_corpus
from kd_plugin.data.subset import read_sides
from kd_plugin.files.blocks import BlockWriter
from kd_plugin.stores.store import Store
from kd_plugin.tasks import DistillationTask

from .. import support
from ..support import TINY, distillation, fairseq_train
from . import made

NAME = "train.xx-yy"
SEARCH = ["--beam", 2, "--nbest", 2, "--max-len-b", 6, "--engine", "fairseq", "--cpu"]


@pytest.fixture(scope="module")
def texts(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 pairs; every sixth source stood before, with another target."""
    pairs = [(f"w{i % 13} w{(i * i) % 7} w{i % 11}", f"W{i % 13}") for i in range(90)]
    for row in range(6, 90, 6):
        pairs[row] = (pairs[row - 5][0], "W2 W3")
    folder = tmp_path_factory.mktemp("texts") / "bin"
    return support.binarise(folder, {"train": pairs, "valid": [("w1 w2", "W2 W1")]}, data)


def fold(data: Path, output: Path, *flags: object) -> Path:
    cli.main(["fold", str(data), "--output", str(output), *map(str, flags)])
    return output


@pytest.fixture(scope="module")
def folds(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fold(texts, tmp_path_factory.mktemp("folds") / "folds", "--folds", 2)


@pytest.fixture(scope="module")
def teachers(folds: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of each fold, trained on the other."""
    found = []
    for number in (0, 1):
        save = tmp_path_factory.mktemp(f"teacher{number}")
        flags = ["--criterion", "cross_entropy", "--max-update", 6, "--seed", number + 1]
        fairseq_train(folds / str(number) / "seen", save, *TINY, *flags, "--disable-validation")
        found.append(save / "checkpoint_last.pt")
    return found


def generate(data: Path, teacher: Path, output: Path, *flags: object) -> Path:
    command = ["generate", data, "--path", teacher, "--output", output, *SEARCH, *flags]
    cli.main([str(part) for part in command])
    return output


@pytest.fixture(scope="module")
def corpora(
    folds: Path, teachers: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """What each teacher says of what it has not seen."""
    folder = tmp_path_factory.mktemp("corpora")
    return [generate(folds / str(i) / "unseen", teachers[i], folder / str(i)) for i in (0, 1)]


@pytest.fixture(scope="module")
def whole(
    texts: Path, teachers: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """What each says of everything."""
    folder = tmp_path_factory.mktemp("whole")
    return [generate(texts, teachers[i], folder / str(i)) for i in (0, 1)]


def seen(folds: Path) -> list[object]:
    return ["--trained-on", folds / "0" / "seen", folds / "1" / "seen"]


def records(folder: Path) -> list[dict[str, Any]]:
    return list(read_corpus(find_corpus(folder, NAME)))


def pairs(folder: Path, subset: str = "train") -> list[tuple[list[int], list[int]]]:
    found = DistillationTask.of_data(str(folder)).language_pairs(str(folder), subset)
    return [(s.tolist(), t.tolist()) for s, t in zip(found.src, found.tgt)]


def fold_of(source: list[int], K: int) -> int:
    """As docs/corpora.md says it."""
    tokens = b"".join(token.to_bytes(4, "little") for token in source)
    return int.from_bytes(hashlib.blake2b(tokens, digest_size=8).digest(), "little") % K


@pytest.mark.parametrize("K", [2, 3])
def test_a_cut_is_by_the_hash_of_the_source(texts: Path, tmp_path: Path, K: int) -> None:
    gold = pairs(texts)
    output = fold(texts, tmp_path / "folds", "--folds", K)
    for number in range(K):
        unseen = [pair for pair in gold if fold_of(pair[0], K) == number]
        rest = [pair for pair in gold if fold_of(pair[0], K) != number]
        assert pairs(output / str(number) / "unseen") == unseen
        assert pairs(output / str(number) / "seen") == rest
        assert pairs(output / str(number) / "seen", "valid") == pairs(texts, "valid")
        assert not {str(s) for s, _ in unseen} & {str(s) for s, _ in rest}
        assert unseen
    again = fold(texts, tmp_path / "again", "--folds", K)
    for file in output.rglob("*.*"):
        assert (again / file.relative_to(output)).read_bytes() == file.read_bytes()


def test_each_record_is_the_one_of_the_teacher_that_never_saw_it(
    texts: Path, folds: Path, corpora: list[Path], whole: list[Path], tmp_path: Path
) -> None:
    """Whether the teachers were asked about everything or about their own fold alone."""
    gold = pairs(texts)
    said = [records(folder) for folder in whole]
    for number, parts in enumerate((corpora, whole)):
        output = fold(texts, tmp_path / str(number), *seen(folds), "--corpora", *parts)
        merged = records(output)
        for row, record in enumerate(merged):
            own = fold_of(gold[row][0], 2)
            expected = said[own][row]
            assert {**record, "hypotheses": 0} == {**expected, "hypotheses": 0, "fold": own}
            assert [h["tokens"] for h in record["hypotheses"]] == [
                h["tokens"] for h in expected["hypotheses"]
            ]
    assert sum("same_as" in record for record in merged) >= 14
    assert said[0] != said[1]


def test_a_merged_corpus_is_a_corpus(
    texts: Path, folds: Path, teachers: list[Path], corpora: list[Path], tmp_path: Path
) -> None:
    """With the checkpoints as proof, which tell the folders themselves; its manifest; its use."""
    proof = ["--path", *teachers]
    output = fold(texts, tmp_path / "merged", *proof, "--corpora", *corpora, "--block-size", 11)
    ((_, manifest),) = find_corpus(output, NAME)
    sizes = [len(records(folder)) for folder in corpora]
    assert manifest["settings"]["folds"] == sizes
    assert manifest["counts"] == {"fold 0": sizes[0], "fold 1": sizes[1]}
    cli.main(["select", str(output), "--output", str(tmp_path / "best"), "--subwords", "none"])
    command = ["binarise", str(tmp_path / "best"), str(texts), "--output", str(tmp_path / "bin")]
    cli.main(command)
    assert [s for s, _ in pairs(tmp_path / "bin")] == [s for s, _ in pairs(texts)]


def test_history_tells_the_merge(
    texts: Path, folds: Path, teachers: list[Path], corpora: list[Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its commands make the corpus again."""
    output = fold(texts, tmp_path / "merged", *seen(folds), "--corpora", *corpora)
    capsys.readouterr()
    cli.main(["history", str(output)])
    commands = [line for line in capsys.readouterr().out.splitlines() if line[0] != "#"]
    told = ["fold", "generate", "generate", "fold"]
    assert [line.split()[1] for line in commands] == told
    assert commands[0].split()[:3] == ["fairseq-kd", "fold", str(texts)]
    monkeypatch.chdir(tmp_path)
    places = {f"TEACHER{number}.PT": path for number, path in enumerate(teachers, 1)}
    for line in commands:
        cli.main([str(places.get(word, word)) for word in line.split()[1:]])
    assert records(tmp_path / "corpus3") == records(output)


def test_with_seen_the_next_teacher_says_it(
    texts: Path, folds: Path, teachers: list[Path], whole: list[Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Each sentence by the teacher that was trained on it; and history's commands say so."""
    asked = [folds / "1" / "unseen", folds / "0" / "unseen"]  # what each teacher has learnt
    corpora = [generate(asked[i], teachers[i], tmp_path / f"said{i}") for i in (0, 1)]
    said, gold = [records(folder) for folder in whole], pairs(texts)
    for number, parts in enumerate((corpora, whole)):
        output = tmp_path / f"merged{number}"
        merged = records(fold(texts, output, *seen(folds), "--seen", "--corpora", *parts))
        for row, record in enumerate(merged):
            own = 1 - fold_of(gold[row][0], 2)
            tokens = [one["tokens"] for one in said[own][row]["hypotheses"]]
            assert [one["tokens"] for one in record["hypotheses"]] == tokens
            assert record["fold"] == own
    capsys.readouterr()
    cli.main(["history", str(tmp_path / "merged0")])
    last = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert "--seen" in last
    cli.main(
        ["history", str(fold(texts, tmp_path / "m", "--path", *teachers, "--corpora", *whole))]
    )
    assert "--seen" not in capsys.readouterr().out


def test_with_seen_a_store_is_of_the_next_teacher(
    texts: Path, folds: Path, teachers: list[Path], tmp_path: Path
) -> None:
    flags = ("--subset", "train", "--top-k", 5)
    stores = [cache(texts, teachers[i], tmp_path / str(i), *flags) for i in (0, 1)]
    output = fold(texts, tmp_path / "store", *seen(folds), "--seen", "--stores", *stores)
    merged, parts = Store(output, NAME), [Store(folder, NAME) for folder in stores]
    for row, (source, _) in enumerate(pairs(texts)):
        assert np.array_equal(merged.read(row), parts[1 - fold_of(source, 2)].read(row))
    assert merged.settings["folds"]["seen"] is True


def test_with_seen_each_of_three_teaches_one_fold(texts: Path, tmp_path: Path) -> None:
    output = fold(texts, tmp_path / "folds", "--folds", 3)
    task = DistillationTask.of_data(str(texts))
    folders = [str(output / str(number) / "seen") for number in range(3)]
    found = Assignment(task, read_sides(task, str(texts), "train"), folders, "train", seen=True)
    expected = [(fold_of(source, 3) + 1) % 3 for source, _ in pairs(texts)]
    assert found.fold.tolist() == expected


def test_with_seen_a_teacher_that_did_not_see_it_is_refused(
    data: Path,
    texts: Path,
    folds: Path,
    teachers: list[Path],
    corpora: list[Path],
    stores: list[Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(SystemExit, match=r"was not made with --path .* \(sha256\); give both"):
        # the other order, which the message would have had tried
        fold(texts, tmp_path / "out", "--path", *teachers, "--seen", "--corpora", *corpora[::-1])
    gold, out = pairs(texts), tmp_path / "out"
    of_first = next(row for row, (source, _) in enumerate(gold) if fold_of(source, 2) == 0)
    line = rf"line {of_first + 1} of train .* is not in .*0/seen"
    words = rf"that its teacher never saw: {line}; .* leave out --seen;"
    for flag, parts in (("--corpora", corpora), ("--stores", stores)):
        with pytest.raises(SystemExit, match=f"{flag} {parts[0]} is of sentences {words}"):
            fold(texts, out, *seen(folds), "--seen", flag, *parts)
    other = support.binarise(tmp_path / "other" / "bin", {"train": [("w1", "W1")]}, data)
    with pytest.raises(
        SystemExit, match=r"line \d+ of .* has its turn, with --seen, in .*other/bin"
    ):
        fold(texts, out, "--trained-on", folds / "0" / "seen", other, "--seen",
             "--corpora", *corpora)  # fmt: skip
    foreign = tmp_path / "foreign"
    made.write(foreign, data, made.records_of(data))
    with pytest.raises(
        SystemExit, match=r"neither of all 90 .* nor of the .*/1/seen, named before its own, lacks;"
    ):
        fold(texts, out, *seen(folds), "--seen", "--corpora", foreign, foreign)
    assert not out.exists()


def test_history_of_eleven_folds(
    texts: Path, teachers: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of teachers' texts are in the order of the corpora, not in that of the alphabet."""
    folders = fold(texts, tmp_path / "folds", "--folds", 11)
    trained_on = [folders / str(number) / "seen" for number in range(11)]
    said = generate(texts, teachers[0], tmp_path / "said")
    flags = ["--trained-on", *trained_on, "--corpora", *[said] * 11]
    output = fold(texts, tmp_path / "merged", *flags)
    capsys.readouterr()
    cli.main(["history", str(output)])
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    first = words.index("--trained-on") + 1
    numbers = [Path(word).parent.name for word in words[first : first + 11]]
    assert numbers == [str(number) for number in range(11)]


@pytest.mark.parametrize("part", ["seen", "unseen"])
def test_history_of_a_fold(
    folds: Path, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One command, which makes the folder again, and where in its output that is."""
    capsys.readouterr()
    cli.main(["history", str(folds / "1" / part)])
    told = capsys.readouterr().out.splitlines()
    (command,) = (line for line in told if line[0] != "#")
    monkeypatch.chdir(tmp_path)
    cli.main(shlex.split(command)[1:])
    (place,) = (line.split()[1][:-1] for line in told if ": a data folder of" in line)
    assert place.endswith(f"/1/{part}")
    for file in (folds / "1" / part).iterdir():
        assert (Path(place) / file.name).read_bytes() == file.read_bytes()
        if file.name.startswith("train") and file.suffix == ".bin":
            assert any(file.name in line and support.sha256(file) in line for line in told)


def test_stopped_and_started_again_the_bytes_are_the_same(
    texts: Path, folds: Path, corpora: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [*seen(folds), "--corpora", *corpora, "--block-size", 20]
    once = fold(texts, tmp_path / "once", *flags)
    write = BlockWriter.write

    def stopped(self: Any, content: bytes, note: Any) -> None:
        write(self, content, note)
        if len(self.notes) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(BlockWriter, "write", stopped)
    with pytest.raises(SystemExit, match="stopped"):
        fold(texts, tmp_path / "again", *flags)
    monkeypatch.setattr(BlockWriter, "write", write)
    again = fold(texts, tmp_path / "again", *flags)
    for file in once.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def cache(data: Path, teacher: object, output: Path, *flags: object) -> Path:
    command = ["cache", data, "--path", teacher, "--output", output, "--cpu", *flags]
    cli.main([str(part) for part in command])
    return output


@pytest.fixture(scope="module")
def stores(
    folds: Path, teachers: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    folder, flags = tmp_path_factory.mktemp("stores"), ("--subset", "train", "--top-k", 5)
    return [cache(folds / str(i) / "unseen", teachers[i], folder / str(i), *flags) for i in (0, 1)]


def test_a_merged_store_has_the_records_of_each_fold(
    texts: Path, folds: Path, teachers: list[Path], stores: list[Path], tmp_path: Path
) -> None:
    """And a student is trained from it, validated on what all teachers believe together."""
    output = fold(texts, tmp_path / "store", *seen(folds), "--stores", *stores, "--block-size", 13)
    merged, parts = Store(output, NAME), [Store(folder, NAME) for folder in stores]
    taken = [0, 0]
    for row, (source, target) in enumerate(pairs(texts)):
        own = fold_of(source, 2)
        assert np.array_equal(merged.read(row), parts[own].read(taken[own]))
        assert len(merged.read(row)) == len(target)
        taken[own] += 1
    assert taken == [len(part) for part in parts]
    assert merged.settings["folds"]["sentences"] == taken
    assert merged.settings["teacher_sha256"] == [support.sha256(path) for path in teachers]
    both = f"{teachers[0]}:{teachers[1]}"
    cache(texts, both, output, "--subset", "valid", "--top-k", 5)
    flags = distillation("--criterion", "word_kd", "--teacher-store", output, "--max-update", 2)
    run = fairseq_train(texts, tmp_path / "student", *TINY, *flags)
    assert run.stats("valid")


def test_a_teacher_that_saw_a_sentence_is_refused(
    texts: Path, folds: Path, teachers: list[Path], corpora: list[Path], stores: list[Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    """Named in the wrong order, trained on everything, or not the teacher that it is said to be."""
    gold, out = pairs(texts), tmp_path / "out"
    of_second = next(row for row, (source, _) in enumerate(gold) if fold_of(source, 2) == 1)
    words = rf"sentences that its teacher saw: line {of_second + 1} of train .* stands in .*0/seen"
    for flag, (first, second) in (("--corpora", corpora), ("--stores", stores)):
        with pytest.raises(SystemExit, match=f"{flag} {second} is of {words}"):
            fold(texts, out, *seen(folds), flag, second, first)
    with pytest.raises(SystemExit, match=r"line 1 of train .* stands in the training text of ever"):
        fold(texts, out, "--trained-on", texts, texts, "--corpora", *corpora)
    with pytest.raises(SystemExit, match=r"0/seen, as it says itself, and --trained-on .*1/seen"):
        fold(texts, out, *seen(folds)[:1], *seen(folds)[:0:-1], "--path", *teachers,
             "--corpora", *corpora)  # fmt: skip
    with pytest.raises(SystemExit, match=r"was not made with --path .* \(sha256\); give both"):
        fold(texts, out, "--path", *teachers, "--corpora", *corpora[::-1])
    assert not out.exists()


def test_corpora_that_do_not_belong_together(
    data: Path, texts: Path, folds: Path, teachers: list[Path], corpora: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    other = generate(folds / "1" / "unseen", teachers[1], tmp_path / "other", "--lenpen", 0.5)
    with pytest.raises(SystemExit, match=r"made with search\.lenpen 0\.5 and --corpora .*0 says 1"):
        fold(texts, out, *seen(folds), "--corpora", corpora[0], other)
    foreign = generate(data, teachers[0], tmp_path / "foreign")
    with pytest.raises(SystemExit, match=r"neither of all 90 sentences of train nor of the \d+ "):
        fold(texts, out, *seen(folds), "--corpora", foreign, corpora[1])
    command = ["generate", folds / "1" / "unseen", "--path", teachers[1], "--teacher-forcing"]
    cli.main([str(part) for part in [*command, "--cpu", "--output", tmp_path / "forced"]])
    with pytest.raises(SystemExit, match="made with kind teacher-forcing and --corpora"):
        fold(texts, out, *seen(folds), "--corpora", corpora[0], tmp_path / "forced")
    assert not out.exists()


def test_training_text_in_other_numbers_is_refused(
    data: Path, texts: Path, corpora: list[Path], tmp_path: Path
) -> None:
    """Its token ids say nothing of which sentences were seen."""
    lines = [("w1 w2", "W1"), ("w3 w1", "W2")]
    reversed_ = support.reverse_dictionaries(data, tmp_path / "dictionaries")
    other = support.binarise(tmp_path / "other", {"train": lines}, reversed_)
    with pytest.raises(SystemExit, match=r"--trained-on .*other: its dictionary of xx is not this"):
        fold(texts, tmp_path / "out", "--trained-on", other, other, "--corpora", *corpora)
    nothing = tmp_path / "nothing"
    with pytest.raises(SystemExit, match=r"the data folder '.*nothing' does not exist"):
        fold(texts, tmp_path / "out", "--trained-on", nothing, other, "--corpora", *corpora)


def test_stores_that_do_not_belong_together(
    texts: Path, folds: Path, teachers: list[Path], stores: list[Path], tmp_path: Path
) -> None:
    unseen, only = folds / "1" / "unseen", ("--subset", "train")
    larger = cache(unseen, teachers[1], tmp_path / "larger", *only, "--top-k", 6)
    with pytest.raises(
        SystemExit, match=r"--stores .*larger has record .*; write all of them with"
    ):
        fold(texts, tmp_path / "out", *seen(folds), "--stores", stores[0], larger)
    states = cache(unseen, teachers[1], tmp_path / "states", *only, "--features")
    with pytest.raises(SystemExit, match="states is of kind features, which only its own model"):
        fold(texts, tmp_path / "out", *seen(folds), "--stores", stores[0], states)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "give one of --folds, --corpora and --stores, not none"),
        (["--folds", 2, "--stores", "a"], "give one of .*, not --folds and --stores"),
        (["--folds", 1], "--folds 1 is out of range; give 2 to 1,000"),
        (["--folds", 99], r"--folds 99: fold \d+ of the 90 sentences of train would be empty; giv"),
        (["--folds", 2, "--path", "T.pt"], "--path is for merging, and --folds cuts; leave one"),
        (["--corpora", "a", "--seen"], "--seen with --corpora of one teacher; it needs two or mor"),
        (["--folds", 2, "--seen"], "--seen is for merging, and --folds cuts; leave one of them"),
        (["--folds", 2, "--subset", "dev"], "--subset dev: .* holds no dev set"),
        (["--corpora", "a", "b"], "--corpora: say for each what its teacher was trained on, with"),
        (["--corpora", "a", "b", "--trained-on", "c"], "--trained-on names 1 and --corpora 2; giv"),
        (["--corpora", "a", "--path", "no.pt"], r"--path no\.pt does not exist; name a checkpoint"),
        (["--corpora", "a", "--trained-on", "c"], "a should hold one complete set of shards"),
        (["--stores", "a", "--trained-on", "c"], "a should hold one complete set of shards"),
    ],
)
def test_flags_that_do_not_fit(
    texts: Path, tmp_path: Path, flags: list[object], words: str
) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: {words}"):
        fold(texts, tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


def test_a_second_part_of_the_training_set_is_no_fold(texts: Path, tmp_path: Path) -> None:
    """fairseq would train every teacher on it."""
    shutil.copytree(texts, tmp_path / "two")
    for file in texts.glob("train.xx-yy.*"):
        shutil.copy(file, tmp_path / "two" / file.name.replace("train.", "train1."))
    with pytest.raises(SystemExit, match="holds train1 beside train, and fairseq trains on both"):
        fold(tmp_path / "two", tmp_path / "out", "--folds", 2)
