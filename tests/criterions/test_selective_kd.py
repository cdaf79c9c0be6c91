"""Which tokens are distilled, and what the queue holds."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.criterions.selective_kd import threshold
from kd_plugin.errors import InputError

from .. import oracle
from ..support import TINY, Optimizer, Setup, build, distillation, update
from .test_oracle import assert_equal, expect, logits, members, reference


def selective(data: Path, teacher: object, *flags: object, **options: Any) -> Setup:
    command = ["--criterion", "selective_kd", "--teacher-path", teacher, *flags]
    return build(data, *TINY, *distillation(*command), **options)


def nlls(setup: Setup, sample: Any) -> list[float]:
    """Unsmoothed cross-entropies of the real tokens, by the host's own forward."""
    with torch.no_grad():
        z = logits(setup.model, sample, reference(sample))
    pad, values = setup.task.target_dictionary.pad(), []
    for b, row in enumerate(sample["target"].tolist()):
        for t, gold in enumerate(row):
            if gold != pad:
                values.append(-math.log(oracle.softmax(z[b, t].tolist())[gold]))
    return values


def hardest(values: list[float], rate: float) -> float:
    return sorted(values, reverse=True)[math.ceil(round(rate * len(values), 6)) - 1]


def expected_loss(setup: Setup, sample: Any, teacher: Path, tau: float) -> Any:
    def equation(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        hard = -math.log(oracle.softmax(z)[gold]) >= tau - 1e-12
        kd = oracle.word_kd(z, others, gold)
        return oracle.total([(1, oracle.smoothed_nll(z, gold, 0.1)), (float(hard), kd)])

    return expect(setup, sample, members(str(teacher)), [(reference(sample), equation)])


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.7])
def test_of_a_batch_the_hardest_tokens(data: Path, teacher: Path, rate: float) -> None:
    flags = ["--kd-select", "batch", "--kd-select-rate", rate, "--label-smoothing", 0.1]
    setup = selective(data, teacher, *flags)
    sample = setup.batch()
    values = nlls(setup, sample)
    assert_equal(setup, sample, *expected_loss(setup, sample, teacher, hardest(values, rate)))
    share = setup.step(sample)[2]["spread_of_selected"]
    count = math.ceil(round(rate * len(values), 6))
    assert float(share[1]) == pytest.approx(count / len(values))


@pytest.mark.parametrize("order", ["push-then-test", "test-then-push"])
def test_of_a_queue_the_hardest_tokens(data: Path, teacher: Path, order: str) -> None:
    """A queue smaller than two batches, against one that is simulated value by value."""
    flags = ["--kd-queue-size", 41, "--kd-select-order", order, "--label-smoothing", 0.1]
    setup = selective(data, teacher, *flags)
    queue: deque[float] = deque(maxlen=41)
    optimizer = Optimizer(setup.model.parameters(), 0.01)
    for step in range(4):
        sample = setup.batch(rows=range(5 * step, 5 * step + 5))
        values = nlls(setup, sample)
        before = deque(queue, maxlen=41)
        queue.extend(values)
        compared = queue if order == "push-then-test" or not before else before
        expected = expected_loss(setup, sample, teacher, hardest([*compared], 0.5))
        assert_equal(setup, sample, *expected)
        update(setup, [sample], step, optimizer)
        assert setup.criterion.memory.values.tolist() == pytest.approx([*queue], rel=1e-9)


def test_a_rate_of_1_is_word_kd(data: Path, teacher: Path) -> None:
    word = build(
        data, *TINY,
        *distillation("--criterion", "word_kd", "--teacher-path", teacher),
        *("--nll-weight", 1, "--kd-weight", 1),
    )  # fmt: skip
    sample = word.batch()
    for flags in (["--kd-select", "batch"], [], ["--kd-select-order", "test-then-push"]):
        setup = selective(data, teacher, "--kd-select-rate", 1, *flags)
        update(setup, [setup.batch(rows=range(9, 20))])  # a queue of other values
        ours, theirs = setup.step(sample), word.step(sample)
        assert ours[0].item() == pytest.approx(theirs[0].item(), rel=1e-14)
        for name, gradient in theirs[3].items():
            torch.testing.assert_close(ours[3][name], gradient, rtol=1e-12, atol=1e-14)


def test_ties_are_selected() -> None:
    assert threshold(torch.ones(7), 0.3) == 1
    assert threshold(torch.tensor([3.0, 1, 2, 2, 2]), 0.4) == 2
    assert threshold(torch.arange(10.0), 0.7) == 3  # 0.7 * 10 is above 7 in binary
    assert threshold(torch.arange(3.0), 0.01) == 2
    assert threshold(torch.arange(3.0), 1e-7) == 2  # one of them at least


def test_an_empty_queue_is_the_batch(data: Path, teacher: Path) -> None:
    batch, queue = selective(data, teacher, "--kd-select", "batch"), selective(data, teacher)
    sample = batch.batch()
    assert batch.step(sample)[0] == queue.step(sample)[0]


def test_what_does_not_count_leaves_the_queue_alone(data: Path, teacher: Path) -> None:
    setup = selective(data, teacher)
    update(setup, [setup.batch()])
    before = setup.criterion.memory.values.clone()
    sample = setup.batch(rows=range(5, 11))
    setup.criterion.eval(), setup.model.eval()
    setup.criterion(setup.model, setup.batch("valid"))  # an evaluation
    update(setup, [sample], 1, dummies=1)  # an idle rank
    update(setup, [sample], 1, Optimizer(overflows=True))
    setup.criterion(setup.model, sample)  # outside of an update
    torch.testing.assert_close(setup.criterion.memory.values, before, rtol=0, atol=0)
    update(setup, [sample, setup.batch(rows=[3, 7])], 1, dummies=1)
    assert len(setup.criterion.memory.values) == len(before) + sample["ntokens"]


def test_two_batches_of_an_update_meet_the_same_queue(data: Path, teacher: Path) -> None:
    setup, other = selective(data, teacher), selective(data, teacher)  # of the same seed
    for each in (setup, other):
        update(each, [each.batch(rows=range(20, 26))])
    first, second = setup.batch(), setup.batch(rows=range(5, 11))
    (_, after_first), (alone,) = update(setup, [first, second], 1), update(other, [second], 1)
    assert after_first == alone
    assert setup.criterion.memory.values.tolist()[-second["ntokens"] :] == pytest.approx(
        other.criterion.memory.values.tolist()[-second["ntokens"] :]
    )


def test_the_easy_end_is_the_rest(data: Path, teacher: Path) -> None:
    flags = ["--kd-select", "batch", "--nll-weight", 0]
    hard, easy, every = (
        selective(data, teacher, *flags, *more)
        for more in (
            ["--kd-select-rate", 0.3],
            ["--kd-select-rate", 0.7, "--kd-select-end", "easy"],
            ["--kd-select-rate", 1],
        )
    )
    sample = hard.batch(rows=range(8))
    count = len(nlls(hard, sample))
    both = hard.step(sample)[0] + easy.step(sample)[0]
    if (0.3 * count) % 1 > 1e-6:  # the two overlap by the token at the threshold
        shares = [float(s.step(sample)[2]["spread_of_selected"][1]) for s in (hard, easy)]
        assert sum(shares) == pytest.approx(1 + 1 / count)
    assert both >= every.step(sample)[0] - 1e-12


def signals(setup: Setup, sample: Any, teacher: Path) -> dict[str, list[float]]:
    """Every signal of the probe study at every real token, one loop for all."""
    dictionary, found = setup.task.target_dictionary, {}
    z = logits(setup.model, sample, reference(sample)).detach()
    z_t = logits(members(str(teacher))[0], sample, reference(sample)).detach()
    columns: dict[str, list[float]] = {name: [] for name in (
        "word-ce", "word-frequency", "sentence-length", "sentence-ce", "teacher-entropy",
        "teacher-gold-probability",
    )}  # fmt: skip
    for b, row in enumerate(sample["target"].tolist()):
        real = [t for t, gold in enumerate(row) if gold != dictionary.pad()]
        ce = {t: -math.log(oracle.softmax(z[b, t].tolist())[row[t]]) for t in real}
        for t in real:
            q = oracle.softmax(z_t[b, t].tolist())
            columns["word-ce"].append(ce[t])
            columns["word-frequency"].append(-dictionary.count[row[t]])
            columns["sentence-length"].append(len(real))
            columns["sentence-ce"].append(sum(ce.values()) / len(real))
            columns["teacher-entropy"].append(oracle.entropy(q))
            columns["teacher-gold-probability"].append(-math.log(q[row[t]]))
    found.update(columns)
    return found


@pytest.mark.parametrize("end", ["hard", "easy"])
@pytest.mark.parametrize("signal", [
    "word-ce", "word-frequency", "sentence-length", "sentence-ce", "teacher-entropy",
    "teacher-gold-probability",
])  # fmt: skip
def test_signals(data: Path, teacher: Path, signal: str, end: str) -> None:
    flags = ["--kd-select", "batch", "--kd-select-rate", 0.4, "--nll-weight", 0]
    setup = selective(data, teacher, *flags, "--kd-select-by", signal, "--kd-select-end", end)
    sample = setup.batch(rows=range(9))
    values = signals(setup, sample, teacher)[signal]
    values = values if end == "hard" else [-value for value in values]
    tau = hardest(values, 0.4)
    chosen = iter([value >= tau - 1e-9 for value in values])

    def equation(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        return oracle.total([(float(next(chosen)), oracle.word_kd(z, others, gold))])

    teachers = members(str(teacher))
    assert_equal(setup, sample, *expect(setup, sample, teachers, [(reference(sample), equation)]))


def test_frequencies_must_differ(data: Path, teacher: Path) -> None:
    setup = selective(data, teacher)
    setup.task.target_dictionary.count = [1] * len(setup.task.target_dictionary)
    setup.cfg.criterion.kd_select_by = "word-frequency"
    with pytest.raises(InputError, match="all words of the target dictionary have the same"):
        setup.task.build_criterion(setup.cfg.criterion)
