"""The command ``fairseq-kd agreement``: two checkpoints on every token of a subset."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.commands import cli
from kd_plugin.report.calibration import bin_of, bin_sums, expected_error
from kd_plugin.report.forced import SLICE, measure
from kd_plugin.report.frequency import Frequencies, group_names, parse_edges, target_frequencies
from kd_plugin.report.tally import Tally
from kd_plugin.tasks import DistillationTask
from kd_plugin.teachers import WholeBelief
from kd_plugin.teachers.checkpoints import load_teacher
from kd_plugin.teachers.live import LiveTeacher

from .. import support
from ..criterions.conftest import exact_attention  # noqa: F401  (holds for every test here)
from . import oracle

SIDES = ("teacher", "student")


def run(data: Path, teacher: object, student: object, *flags: object) -> None:
    named = ["--teacher", str(teacher), "--student", str(student), "--cpu"]
    cli.main(["agreement", str(data), *named, *map(str, flags)])


def measured(data: Path, teacher: object, student: object, *flags: object) -> dict[str, Any]:
    path = data.parent / "agreement.json"
    run(data, teacher, student, "--json", path, *flags)
    content: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    return content


def whole(log: torch.Tensor) -> WholeBelief:
    return WholeBelief.of(log)


# By hand


def test_ece_by_hand() -> None:
    """Bins of 1/4: two predictions at 0.3 and 0.5, one of them right, and one at 0.9, wrong."""
    confidence = torch.tensor([0.3, 0.5, 0.9], dtype=torch.float64)
    sums = bin_sums(confidence, torch.tensor([True, False, False]), torch.tensor([1, 1, 1]), (2, 4))
    assert sums[0].eq(0).all()
    assert sums[1].tolist() == [[0, 0, 0], [2, 1, 0.8], [0, 0, 0], [1, 0, 0.9]]
    assert expected_error(sums[1]) == pytest.approx(2 / 3 * abs(0.5 - 0.4) + 1 / 3 * 0.9, rel=1e-15)


@pytest.mark.parametrize(
    ("confidence", "expected"), [(0.0, 0), (0.25, 0), (0.2500001, 1), (0.5, 1), (0.76, 3), (1.0, 3)]
)
def test_a_bin_has_its_upper_edge(confidence: float, expected: int) -> None:
    assert bin_of(torch.tensor([confidence], dtype=torch.float64), 4).tolist() == [expected]


def test_two_tokens_by_hand() -> None:
    q = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)
    p = torch.tensor([[0.25, 0.5, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)
    tally = Tally(groups=3, bins=2)
    y, group = torch.tensor([0, 2]), torch.tensor([2, 0])
    tally.add(whole(q.log()), whole(p.log()), y, group)
    found = tally.total()
    assert (found.tokens, found.agreement) == (2, 0.5)
    assert found.kl == pytest.approx((0.5 * 1 + 0.25 * -1) / 2, abs=1e-15)  # bits
    assert (found.teacher.accuracy, found.student.accuracy) == (0.5, 0.0)
    assert found.teacher.nll == pytest.approx((1 + 3) / 2, abs=1e-15)
    assert found.student.perplexity == pytest.approx(2 ** ((2 + 3) / 2), abs=1e-14)
    assert found.student.confidence == pytest.approx(0.625, abs=1e-15)
    half = tally.harder_half()  # the second token, whose KL is 0
    assert half.least_nll == pytest.approx(3, abs=1e-6)
    assert half.share_of_kl == 0
    rare, none, frequent = tally.groups()
    assert none is None
    assert rare is not None
    assert frequent is not None
    assert (rare.kl, rare.agreement, rare.tokens) == (0, 1, 1)
    assert (frequent.agreement, frequent.teacher.accuracy) == (0, 1)
    assert rare.teacher.ece == pytest.approx(0.75, abs=1e-15)  # sure and wrong


# Against loops over real checkpoints


def load(data: Path, paths: object, dtype: torch.dtype = torch.float64) -> LiveTeacher:
    loaded = load_teacher(str(paths), DistillationTask.of_data(str(data)))
    loaded.to(torch.device("cpu"), dtype)
    return loaded


def tokens_of(data: Path, subset: str, *models: LiveTeacher) -> list[oracle.Token]:
    """Each sentence read alone by each model's own forward; an ensemble is the mean probability."""
    pairs = DistillationTask.of_data(str(data)).language_pairs(str(data), subset)
    found: list[oracle.Token] = []
    for row in range(len(pairs)):
        sample = pairs.collater([pairs[row]])
        sides: list[list[oracle.Row]] = []
        for model in models:
            logits = [m(**sample["net_input"])[0][0].tolist() for m in model.models]
            sides.append([_mean_probability(*position) for position in zip(*logits)])
        found += list(zip(sides[0], sides[1], pairs.tgt[row].tolist()))
    return found


def _mean_probability(*members: list[float]) -> list[float]:
    sums = [sum(math.exp(z) for z in logits) for logits in members]
    rows = [[math.exp(z) / s for z in logits] for logits, s in zip(members, sums)]
    return [sum(column) / len(column) for column in zip(*rows)]


def require_equal(found: Any, tokens: list[oracle.Token], bins: int, atol: float) -> None:
    def close(value: float) -> Any:
        return pytest.approx(value, rel=0, abs=atol)

    assert found["tokens"] == len(tokens)
    assert found["agreement"] == close(oracle.agreement(tokens))
    assert found["kl"] == close(oracle.kl(tokens))
    for side, name in enumerate(SIDES):
        model = found[name]
        assert model["accuracy"] == close(oracle.accuracy(tokens, side))
        assert model["nll"] == close(oracle.nll(tokens, side))
        assert model["ece"] == close(oracle.ece(tokens, side, bins))
        assert model["perplexity"] == pytest.approx(2 ** oracle.nll(tokens, side), rel=10 * atol)


def train_counts(data: Path) -> Counter[int]:
    """Of the words in the training text, and of the end of sentence."""
    words = DistillationTask.of_data(str(data)).target_dictionary
    lines = (data.with_name("bin.text") / "train.yy").read_text().splitlines()
    counts = Counter(words.index(word) for line in lines for word in line.split())
    return counts + Counter({words.eos(): len(lines)})


def test_every_number_is_that_of_the_loops(
    data: Path, teacher: Path, second_teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ensemble of a Transformer and an LSTM against the LSTM, in float64 and in small slices."""
    q, p = load(data, f"{teacher}:{second_teacher}"), load(data, second_teacher)
    generator = torch.Generator().manual_seed(5)
    for parameter in p.models[0].parameters():  # after a few updates all prefer the same words
        parameter.add_(torch.randn(parameter.shape, generator=generator))
    task = DistillationTask.of_data(str(data))
    pairs = task.language_pairs(str(data), "valid")
    edges = [1, 73, 79]
    group_of = torch.from_numpy(target_frequencies(task, str(data), None).groups(edges))
    monkeypatch.setattr("kd_plugin.report.forced.SLICE", 7 * len(group_of))
    tally = Tally(len(edges) + 1, 7)
    measure(q, p, pairs, range(len(pairs)), group_of, tally, max_tokens=40)
    tokens, counts = tokens_of(data, "valid", q, p), train_counts(data)
    assert 0.02 < oracle.agreement(tokens) < 0.9
    require_equal(_plain(tally.total()), tokens, 7, 1e-12)
    bounds = [0, *edges, 10**9]
    compared = 0
    for found, low, high in zip(tally.groups(), bounds, bounds[1:]):
        part = [token for token in tokens if low <= counts[token[2]] < high]
        assert (found is None) == (not part)
        if found:
            require_equal(_plain(found), part, 7, 1e-12)
            compared += 1
    assert compared == 3
    ranked = sorted(tokens, key=lambda token: -oracle.nll([token], 1))
    harder = ranked[: (len(ranked) + 1) // 2]
    half = tally.harder_half()
    assert half.least_nll == pytest.approx(oracle.nll(harder[-1:], 1), rel=1e-6)
    share = oracle.kl(harder) * len(harder) / (oracle.kl(tokens) * len(tokens))
    assert half.share_of_kl == pytest.approx(share, rel=1e-6)
    assert 0.5 < share < 1


def _plain(found: Any) -> dict[str, Any]:
    return {**vars(found), **{side: vars(getattr(found, side)) for side in SIDES}}


def test_the_command_is_the_measurement(data: Path, teacher: Path, second_teacher: Path) -> None:
    """Through its command line, in float32, and with defaults."""
    found = measured(data, teacher, second_teacher, "--subset", "test")
    tokens = tokens_of(data, "test", load(data, teacher), load(data, second_teacher))
    require_equal(found["all"], tokens, 15, 2e-6)
    assert found["sentences"] == 11
    assert found["edges"] == [1, 10, 100]


# Relations


def test_a_model_agrees_with_itself(data: Path, teacher: Path) -> None:
    found = measured(data, teacher, teacher)
    assert (found["all"]["agreement"], found["all"]["kl"]) == (1, 0)
    assert found["all"]["teacher"] == found["all"]["student"]
    for group in found["groups"]:
        assert group["tokens"] == 0 or (group["agreement"], group["kl"]) == (1, 0)


def test_all_is_the_sum_of_the_groups(data: Path, teacher: Path, second_teacher: Path) -> None:
    found = measured(data, teacher, second_teacher, "--edges", "70,75,80,90")
    total, groups = found["all"], [group for group in found["groups"] if group["tokens"]]
    assert len(groups) > 2
    tokens = [int(group["tokens"]) for group in groups]
    assert sum(tokens) == total["tokens"]

    def mean(name: str, side: str = "") -> float:
        values = [float((group[side] if side else group)[name]) for group in groups]
        return sum(n * value for n, value in zip(tokens, values)) / sum(tokens)

    assert mean("agreement") == pytest.approx(total["agreement"])
    assert mean("kl") == pytest.approx(total["kl"])
    for side in SIDES:
        for name in ("accuracy", "confidence", "nll"):
            assert mean(name, side) == pytest.approx(total[side][name])
        summed = torch.tensor([group[side]["bins"] for group in groups]).sum(0)
        torch.testing.assert_close(summed, torch.tensor(total[side]["bins"]))
        assert mean("ece", side) >= total[side]["ece"]  # errors of groups may cancel


def test_batches_do_not_matter(data: Path, teacher: Path, second_teacher: Path) -> None:
    one = measured(data, teacher, second_teacher, "--subset", "train", "--max-tokens", 1)
    many = measured(data, teacher, second_teacher, "--subset", "train", "--max-tokens", 4000)
    assert one["all"]["tokens"] == many["all"]["tokens"] == sum(train_counts(data).values())
    assert one["signature"] == many["signature"]
    for a, b in zip([one["all"], *one["groups"]], [many["all"], *many["groups"]]):
        flat, same = ([*_numbers(x)] for x in (a, b))
        assert flat == pytest.approx(same, rel=1e-5, abs=1e-6)


def _numbers(found: dict[str, Any]) -> Any:
    for name, value in sorted(found.items()):
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, (int, float)) and name != "from":
            yield value


def test_half_precision_is_near(data: Path, teacher: Path, second_teacher: Path) -> None:
    """What --fp16 does on a GPU, here on the CPU."""
    pairs = DistillationTask.of_data(str(data)).language_pairs(str(data), "valid")
    found = []
    for dtype in (torch.float16, torch.float64):
        q, p = load(data, teacher, dtype), load(data, second_teacher, dtype)
        tally = Tally(1, 15)
        group_of = torch.zeros(len(pairs.tgt_dict), dtype=torch.long)
        measure(q, p, pairs, range(len(pairs)), group_of, tally)
        found.append(tally.total())
    assert found[0].tokens == found[1].tokens
    assert found[0].kl == pytest.approx(found[1].kl, abs=2e-3)
    assert found[0].teacher.nll == pytest.approx(found[1].teacher.nll, abs=2e-3)


def test_slices_bound_the_memory() -> None:
    assert SLICE * 4 <= 1 << 26  # bytes of one model's probabilities in float32


# Frequencies


def test_groups_are_by_counts_of_the_training_set(
    data: Path, teacher: Path, second_teacher: Path
) -> None:
    counts = train_counts(data)
    found = measured(data, teacher, second_teacher)
    assert found["frequencies"]["counted"] == "train"
    task = DistillationTask.of_data(str(data))
    frequencies = target_frequencies(task, str(data), None)
    assert {v: n for v, n in enumerate(frequencies.counts.tolist()) if n} == counts
    assert [group["name"] for group in found["groups"]] == ["0", "1-9", "10-99", "100 and more"]
    zero, *_, most = found["groups"]
    assert (zero["types"], zero["tokens"]) == (len(task.target_dictionary) - len(counts), 0)
    assert (most["types"], most["tokens"]) == (1, 23)  # the end of sentence


def test_words_that_training_never_had(data: Path, teacher: Path, tmp_path: Path) -> None:
    """They are a group, whatever the edges are."""
    lines = {"train": [("w1", "W1 W1")] * 12, "valid": [("w2 w1", "W1 W2"), ("w1", "UNKNOWN")]}
    other = support.binarise(tmp_path / "other", lines, data)
    found = measured(other, teacher, teacher, "--edges", "13")
    tokens = {group["name"]: group["tokens"] for group in found["groups"]}
    assert tokens == {"0": 2, "1-12": 2, "13 and more": 1}
    counted_elsewhere = measured(other, teacher, teacher, "--train-data", data, "--edges", "1")
    tokens = {group["name"]: group["tokens"] for group in counted_elsewhere["groups"]}
    assert tokens == {"0": 1, "1 and more": 4}
    twice = measured(other, teacher, teacher, "--train-data", f"{data}:{other}")
    assert twice["frequencies"]["sha256"] != counted_elsewhere["frequencies"]["sha256"]
    words = DistillationTask.of_data(str(data)).target_dictionary
    task = DistillationTask.of_data(str(other))
    both = target_frequencies(task, str(other), f"{data}:{other}").counts
    assert both[words.index("W1")] == train_counts(data)[words.index("W1")] + 24


def without_train(data: Path, folder: Path) -> Path:
    return Path(shutil.copytree(data, folder, ignore=shutil.ignore_patterns("train.*")))


def test_a_folder_without_a_training_set_has_its_dictionarys_counts(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = without_train(data, tmp_path / "bin")
    found = measured(folder, teacher, teacher)
    assert (
        "stands in the dictionary's counts, for want of a training set" in capsys.readouterr().out
    )
    assert found["frequencies"]["counted"] == "dictionary"
    counts, eos = train_counts(data), 2
    task = DistillationTask.of_data(str(folder))
    taken = target_frequencies(task, str(folder), None).counts
    assert taken[eos] == max(taken)
    assert all(taken[v] == n for v, n in counts.items() if v != eos)
    assert taken[task.target_dictionary.unk()] == 0


def test_names_and_decades() -> None:
    assert group_names([1, 2, 10]) == ["0", "1", "2-9", "10 and more"]
    assert group_names([1]) == ["0", "1 and more"]
    assert parse_edges("5, 10") == [1, 5, 10]
    for largest, expected in ((0, [1]), (9, [1]), (10, [1, 10]), (999, [1, 10, 100])):
        counts = torch.tensor([0, largest]).numpy()
        assert Frequencies(counts, "train").decades() == expected


# What it prints and refuses


def test_the_table(
    data: Path, teacher: Path, second_teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured(data, teacher, second_teacher, "--bins", 4)
    output = capsys.readouterr().out
    lines = [line for line in output.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines] == [
        "frequency", "---", "all", "0", "1-9", "10-99", "100 and more",
    ]  # fmt: skip
    assert len({line.count("|") for line in lines}) == 1
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    total = found["all"]
    assert cells[1:4] == [
        str(total["tokens"]), f"{100 * total['agreement']:.2f}", f"{total['kl']:.4f}",
    ]  # fmt: skip
    assert cells[-2:] == [f"{100 * total[side]['ece']:.2f}" for side in SIDES]
    assert "4 bins of equal width (Guo et al. 2017)" in output
    assert output.rstrip().endswith(f"    {found['signature']}")
    hashes = [support.sha256(path) for path in (teacher, second_teacher)]
    assert [found[side]["sha256"] for side in SIDES] == [[digest] for digest in hashes]
    for part in (
        "agreement|subset:valid|", f"|teacher:live.{hashes[0][:8]}|",
        f"|student:live.{hashes[1][:8]}|", "|freq:train.", "|edges:1,10,100|bins:4|",
    ):  # fmt: skip
        assert part in found["signature"]
    assert {"kd-plugin", "torch", "fairseq"} <= set(found["versions"])


def test_sentences_beyond_the_positions(
    data: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--max-source-positions", 6, "--max-target-positions", 6]
    stock = ["--criterion", "cross_entropy", "--max-update", 1, "--disable-validation"]
    support.fairseq_train(data, tmp_path, *support.TINY, *stock, *limits)
    short = tmp_path / "checkpoint_last.pt"
    lines = (data.with_name("bin.text") / "valid.yy").read_text().splitlines()
    sizes = [len(line.split()) + 1 for line in lines]
    first, beyond = next((i, n) for i, n in enumerate(sizes) if n > 6), [n for n in sizes if n > 6]
    words = (
        rf"fairseq-kd: error: --student {short} reads at most 6 source tokens and line "
        rf"{first[0] + 1} of valid has {first[1]} \({len(beyond)} such line\(s\)\); leave them out "
        "of both with --too-long skip"
    )
    with pytest.raises(SystemExit, match=words):
        run(data, teacher, short)
    found = measured(data, teacher, short, "--too-long", "skip")
    assert f"{len(beyond)} of 23 sentences are left out" in capsys.readouterr().out
    assert (found["sentences"], found["skipped"]) == (23 - len(beyond), len(beyond))
    assert found["all"]["tokens"] == sum(sizes) - sum(beyond)
    assert "|too-long:skip|" in found["signature"]
    pairs = {"train": [("w1", "W1")], "valid": [("w1 " * 6, "W1")]}
    folder = support.binarise(tmp_path / "long", pairs, data)
    with pytest.raises(SystemExit, match="no line of valid fits the positions"):
        run(folder, teacher, short, "--too-long", "skip")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--bins", "0"], "--bins 0 is too small; give at least 1"),
        (["--max-tokens", "0"], "--max-tokens 0 is too small"),
        (["--edges", "10,1"], "--edges 10,1 are no rising frequencies; give whole numbers from 1"),
        (["--edges", "1,1"], "--edges 1,1 are no rising"),
        (["--edges", "0,5"], "--edges 0,5 are no rising"),
        (["--edges", ""], "--edges  are no rising"),
        (["--edges", "1,few"], "--edges 1,few are no rising"),
        (["--fp16"], "--fp16 needs a GPU"),
        (["--subset", "dev"], "--subset dev: .* holds no dev set of xx-yy"),
        (["--teacher", "no.pt"], "--teacher no.pt does not exist"),
        (["--student", "no.pt"], "--student no.pt does not exist"),
        (["--student", ":"], "--student ':' has an empty name"),
        (["--train-data", "none"], "--train-data none holds no train set"),
        (["--json", "no/where.json"], "--json no/where.json cannot be written"),
        (["--student-data", "none"], "--student-data none holds no dict.xx.txt"),
    ],
)
def test_bad_input(data: Path, teacher: Path, flags: list[str], words: str) -> None:
    with pytest.raises(SystemExit, match=f"^fairseq-kd: error: {words}") as stopped:
        run(data, teacher, teacher, *flags)
    assert "\n" not in str(stopped.value)


def test_dictionaries_in_another_order(data: Path, teacher: Path, tmp_path: Path) -> None:
    other = support.reverse_dictionaries(data, tmp_path / "other")
    pairs = {"train": [("w0", "W0")], "valid": [("w0", "W0")]}
    folder = support.binarise(tmp_path / "bin", pairs, other)
    for flags, words in (
        ([], r"--teacher .*: its dictionary .* is not this run's: .* another order"),
        (["--train-data", folder], r"--train-data .*: its dictionary of yy is not this run's"),
        (["--student-data", folder], r"--student .* is not this run's"),
    ):
        where = folder if not flags else data
        with pytest.raises(SystemExit, match=f"^fairseq-kd: error: {words}"):
            run(where, teacher, teacher, *flags)


def test_no_frequencies_anywhere(data: Path, teacher: Path, tmp_path: Path) -> None:
    folder = without_train(data, tmp_path / "bin")
    for code in ("xx", "yy"):
        path = folder / f"dict.{code}.txt"
        lines = [line.split()[0] for line in path.read_text().splitlines()]
        path.write_text("".join(f"{word} 100\n" for word in lines))
    with pytest.raises(SystemExit, match="its dictionary has no frequencies; give --train-data"):
        run(folder, teacher, teacher)
    assert measured(folder, teacher, teacher, "--train-data", data)["sentences"] == 23


def test_a_subset_without_references(data: Path, teacher: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(data, tmp_path / "bin"))
    for file in folder.glob("test.xx-yy.yy.*"):
        file.unlink()
    with pytest.raises(SystemExit, match=r"--subset test: .* holds no references of it"):
        run(folder, teacher, teacher, "--subset", "test")


def test_a_student_that_breaks_down(
    data: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tally, "is_finite", lambda _: False)
    with pytest.raises(
        SystemExit, match=r"probabilities of --teacher .* are not finite; take other"
    ):
        run(data, teacher, teacher)
