"""The gate: what it learns, what it does to the student, and where it is another method."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from kd_plugin.criterions.gate import gate_loss
from kd_plugin.errors import InputError

from .. import oracle
from ..support import TINY, Optimizer, Setup, build, distillation, update
from .test_oracle import assert_equal, expect, members, reference


def hybrid(data: Path, teacher: object, distilled: Path, *flags: object, arch: Any = TINY) -> Setup:
    command = ["--criterion", "hybrid_kd", "--teacher-path", teacher]
    return build(
        data, *arch,
        *distillation(*command, "--distilled-data", distilled, "--label-smoothing", 0.1, *flags),
    )  # fmt: skip


def assert_same(ours: Any, theirs: Any) -> None:
    assert ours[0].item() == pytest.approx(theirs[0].item(), rel=1e-14)
    assert float(ours[1]) == theirs[1]
    for name, gradient in theirs[3].items():
        torch.testing.assert_close(ours[3][name], gradient, rtol=1e-12, atol=1e-14)


def test_a_gate_of_1_is_word_kd(data: Path, teacher: Path, distilled: Path) -> None:
    flags = ["--hybrid-gate", "fixed", "--hybrid-gate-value", 1, "--kd-temperature", 2]
    ours = hybrid(data, teacher, distilled, *flags)
    command = ["--criterion", "word_kd", "--teacher-path", teacher, "--kd-temperature", 2]
    theirs = build(data, *TINY, *distillation(*command, "--nll-weight", 0, "--kd-weight", 1))
    assert_same(ours.step(ours.batch()), theirs.step(theirs.batch()))


def test_a_gate_of_0_is_seq_kd(data: Path, teacher: Path, distilled: Path) -> None:
    ours = hybrid(data, teacher, distilled, "--hybrid-gate", "fixed", "--hybrid-gate-value", 0)
    command = ["--criterion", "seq_kd", "--distilled-data", distilled, "--label-smoothing", 0.1]
    theirs = build(data, *TINY, *distillation(*command))
    assert_same(ours.step(ours.batch()), theirs.step(theirs.batch()))


def losses_of_sentences(
    setup: Setup, sample: Any, teacher: Path
) -> tuple[list[float], list[float], list[int], list[int]]:
    """l_t, l_s and the numbers of tokens of each sentence, by loops."""
    pad = setup.task.target_dictionary.pad()

    def soft(z: list[float], z_t: list[float], _: int) -> float:
        return -sum(q * math.log(p) for q, p in zip(oracle.softmax(z_t), oracle.softmax(z)))

    def hard(z: list[float], _: list[float], gold: int) -> float:
        return oracle.smoothed_nll(z, gold, 0.1)[0]

    found: list[Any] = []
    for text, term in ((reference(sample), soft), (sample["distilled"], hard)):
        net_input = {**sample["net_input"], "prev_output_tokens": text["prev_output_tokens"]}
        with torch.no_grad():
            z = setup.model(**net_input)[0].tolist()
            z_t = members(str(teacher))[0](**net_input)[0].tolist()
        means, sizes = [], []
        for b, row in enumerate(text["target"].tolist()):
            real = [t for t, gold in enumerate(row) if gold != pad]
            means.append(sum(term(z[b][t], z_t[b][t], row[t]) for t in real) / len(real))
            sizes.append(len(real))
        found.append((means, sizes))
    (l_t, n_t), (l_s, n_s) = found
    return l_t, l_s, n_t, n_s


@pytest.mark.parametrize("gate", ["sentence", "scalar"])
def test_the_student_and_the_gate_by_the_equations(
    data: Path, teacher: Path, distilled: Path, gate: str
) -> None:
    flags = ["--hybrid-gate", gate, "--hybrid-gate-warmup", 2, "--hybrid-gate-lambda", 0.3]
    flags += ["--nll-weight", 0.2, "--kd-weight", 0.9]
    setup = hybrid(data, teacher, distilled, *flags)
    warm = [setup.batch(rows=range(4)), setup.batch(rows=range(4, 11))]
    seen = [losses_of_sentences(setup, sample, teacher) for sample in warm]
    for number, sample in enumerate(warm):
        update(setup, [sample], number)
    m_t, m_s = (sum(sum(each[side]) for each in seen) / 11 for side in (0, 1))
    assert setup.criterion.memory.means.tolist() == pytest.approx([m_t, m_s], rel=1e-12)

    with torch.no_grad():
        for parameter in setup.criterion.gate.parameters():
            parameter.normal_(0, 0.5)
    sample = setup.batch()
    source = sample["net_input"]
    states = setup.model.encoder(source["src_tokens"], source["src_lengths"])["encoder_out"][0]
    real = source["src_tokens"].ne(setup.task.source_dictionary.pad())
    theta = []
    for b in range(len(real)):
        mean = states[real[b], b].mean(0).detach()
        weight = setup.criterion.gate.weight
        theta.append(setup.criterion.gate.bias[0] + (0 if weight is None else mean @ weight))
    g = [1 / (1 + math.exp(-float(t))) for t in theta]
    l_t, l_s, n_t, n_s = losses_of_sentences(setup, sample, teacher)

    at = iter([b for b, n in enumerate(n_t) for _ in range(n)])
    also = iter([b for b, n in enumerate(n_s) for _ in range(n)])

    def token(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        kd = oracle.word_kd(z, others, gold)
        return oracle.total([(0.2, oracle.smoothed_nll(z, gold, 0.1)), (0.9 * g[next(at)], kd)])

    def sentence(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        return oracle.total([(0.9 * (1 - g[next(also)]), oracle.smoothed_nll(z, gold, 0.1))])

    parts = [(reference(sample), token), (sample["distilled"], sentence)]
    assert_equal(setup, sample, *expect(setup, sample, members(str(teacher)), parts))
    tokens = sum(0.2 * n + 0.9 * (x * n + (1 - x) * m) for x, n, m in zip(g, n_t, n_s)) / 1.1
    assert float(setup.step(sample)[1]) == pytest.approx(tokens, rel=1e-12)

    setup.criterion.zero_grad()
    setup.step(sample)
    slopes = [  # of the gate's loss by theta
        x * (1 - x) * (a / m_t - c / m_s + 0.3 * math.log(x / (1 - x)))
        for x, a, c in zip(g, l_t, l_s)
    ]
    assert setup.criterion.gate.bias.grad.item() == pytest.approx(sum(slopes), rel=1e-9)


def test_a_trained_gate_is_the_closed_form(data: Path, teacher: Path, distilled: Path) -> None:
    flags = ["--hybrid-gate", "scalar", "--hybrid-gate-warmup", 1, "--hybrid-gate-lambda", 0.5]
    setup = hybrid(data, teacher, distilled, *flags)
    update(setup, [setup.batch(rows=range(40))])
    sample = setup.batch()
    optimizer = Optimizer(setup.criterion.parameters(), 0.5)
    for number in range(1, 120):
        update(setup, [sample], number, optimizer)
    l_t, l_s, _, _ = losses_of_sentences(setup, sample, teacher)
    m_t, m_s = setup.criterion.memory.means.tolist()
    difference = sum(l_s) / len(l_s) / m_s - sum(l_t) / len(l_t) / m_t
    g = torch.sigmoid(setup.criterion.gate.bias).item()
    assert g == pytest.approx(1 / (1 + math.exp(-difference / 0.5)), abs=1e-3)
    assert (g > 0.5) == (difference > 0)


def train_gate(setup: Setup, scale_t: float, scale_s: float) -> float:
    """g after training on three sentences' losses alone."""
    l_t = torch.tensor([1.0, 2.0, 1.5], dtype=torch.float64) * scale_t
    l_s = torch.tensor([3.0, 2.0, 4.0], dtype=torch.float64) * scale_s
    criterion = setup.criterion
    criterion.memory.restore(
        {"sums": torch.stack([l_t * 1.3, l_s * 0.9]).sum(1), "sentences": 3, "seen": 1}
    )
    optimizer = torch.optim.SGD(criterion.parameters(), lr=5)
    for _ in range(1500):
        optimizer.zero_grad()
        theta = criterion.gate(torch.zeros(3, 1).double())
        torch.autograd.backward(gate_loss(theta, l_t, l_s, criterion.memory.means, 0.1))
        optimizer.step()
    return float(torch.sigmoid(criterion.gate.bias))


def test_the_scale_of_a_loss_does_not_matter(data: Path, teacher: Path, distilled: Path) -> None:
    flags = ["--hybrid-gate", "scalar", "--hybrid-gate-warmup", 1]
    found = [
        train_gate(hybrid(data, teacher, distilled, *flags), *scales)
        for scales in ((1, 1), (10, 1), (1, 10))
    ]
    # l_t / m_t = 1 / 1.3 and l_s / m_s = 1 / 0.9, lambda = 0.1: the token loss is relatively small
    expected = 1 / (1 + math.exp(-(1 / 0.9 - 1 / 1.3) / 0.1))
    assert found == pytest.approx([expected] * 3, abs=1e-3)
    assert expected > 0.9


def test_one_half_and_no_step_while_means_are_measured(
    data: Path, teacher: Path, distilled: Path
) -> None:
    setup = hybrid(data, teacher, distilled, "--hybrid-gate-warmup", 3)
    optimizer = Optimizer(setup.criterion.parameters(), 10.0)
    for number in range(3):
        assert setup.criterion.memory.means is None
        update(setup, [setup.batch(rows=range(5 * number, 5 * number + 5))], number, optimizer)
        assert not any(p.abs().max() > 0 for p in setup.criterion.parameters())
    frozen = setup.criterion.memory.means.clone()
    update(setup, [setup.batch(rows=range(20, 29))], 3, optimizer)
    assert setup.criterion.memory.means.equal(frozen)
    assert any(p.abs().max() > 0 for p in setup.criterion.parameters())


@pytest.mark.parametrize(("updates", "said"), [(9, 0), (5, 1), (4, 1), (0, 0)])
def test_a_warm_up_that_is_not_over_is_said_at_the_start(
    updates: int, said: int, data: Path, teacher: Path, distilled: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    hybrid(data, teacher, distilled, "--hybrid-gate-warmup", 5, "--max-update", updates)
    words = f"--hybrid-gate-warmup 5 is not over at --max-update {updates}"
    assert caplog.text.count(words) == said
    flags = ("--hybrid-gate", "fixed", "--hybrid-gate-warmup", 5, "--max-update", updates)
    hybrid(data, teacher, distilled, *flags)
    assert caplog.text.count("is not over") == said


def test_a_dummy_and_an_overflow_are_not_measured(
    data: Path, teacher: Path, distilled: Path
) -> None:
    setup = hybrid(data, teacher, distilled, "--hybrid-gate-warmup", 2)
    update(setup, [setup.batch()], 0, Optimizer(overflows=True))
    assert (setup.criterion.memory.seen, setup.criterion.memory.sentences) == (0, 0)
    update(setup, [setup.batch(), setup.batch(rows=range(5, 9))], 0, dummies=1)
    assert (setup.criterion.memory.seen, setup.criterion.memory.sentences) == (1, 5)


def test_an_evaluation_without_translations_is_token_level(
    data: Path, teacher: Path, distilled: Path
) -> None:
    setup = hybrid(data, teacher, distilled)
    sample = setup.batch("valid")
    sample.pop("distilled", None)
    setup.model.eval(), setup.criterion.eval()
    loss, _, log = setup.criterion(setup.model, sample)
    assert loss.item() == pytest.approx(float(log["kd_loss"]))


def test_an_lstm_student(data: Path, teacher: Path, distilled: Path) -> None:
    arch = (
        "--arch lstm --encoder-embed-dim 10 --decoder-embed-dim 10 --encoder-hidden-size 12 "
        "--decoder-hidden-size 12 --decoder-out-embed-dim 10 --encoder-bidirectional"
    ).split()
    setup = hybrid(data, teacher, distilled, arch=arch)
    assert setup.criterion.gate.weight.shape == (24,)
    assert math.isfinite(setup.step(setup.batch())[0].item())


FCONV = "--arch fconv --encoder-layers [(12,3)] --decoder-layers [(12,3)]".split()


def test_a_gate_of_sentences_needs_states_that_are_known(
    data: Path, teacher: Path, distilled: Path
) -> None:
    words = "--hybrid-gate sentence reads the encoder's states, and those of this --arch"
    with pytest.raises(InputError, match=words):
        hybrid(data, teacher, distilled, arch=FCONV)


def test_both_texts_are_needed(data: Path, teacher: Path) -> None:
    command = distillation("--criterion", "hybrid_kd", "--teacher-path", teacher)
    with pytest.raises(InputError, match="--criterion hybrid_kd needs the teacher's translations"):
        build(data, *TINY, *command)
