"""The schedule, both stages, and what counts as a logit."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.logging import metrics

from kd_plugin.criterions.annealing_kd import growth
from kd_plugin.errors import InputError

from .. import oracle
from ..stored import cache
from ..support import TINY, Setup, build, distillation
from .test_oracle import assert_equal, expect, members, reference


def annealing(data: Path, teacher: object, *flags: object) -> Setup:
    command = ["--criterion", "annealing_kd", "--teacher-path", teacher, *flags]
    return build(data, *TINY, *distillation(*command))


@pytest.mark.parametrize(
    ("updates", "steps"), [(30, 10), (30, 14), (25, 10), (7, 10), (1, 3), (9, 1)]
)
def test_the_factor_grows_to_1_and_never_above(updates: int, steps: int) -> None:
    factors = [growth(update, updates, steps) for update in range(updates)]
    assert factors == sorted(factors)
    assert factors[0] == pytest.approx(1 / steps)
    assert max(factors) <= 1
    for update, factor in enumerate(factors):  # T falls by one after each share of the stage
        T = max(1, steps - int(Fraction(update) / Fraction(updates, steps)))
        assert factor == pytest.approx(1 - (T - 1) / steps, rel=1e-15)
    if updates % steps == 0:
        assert [factors.count(k / steps) for k in range(1, steps + 1)] == [updates // steps] * steps


@pytest.mark.parametrize("logits", ["centred", "raw"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("update", [0, 13, 29])
def test_stage_1(data: Path, teacher: Path, logits: str, reduction: str, update: int) -> None:
    flags = ["--anneal-updates", 30, "--anneal-max-temperature", 7, "--kd-weight", 0.8]
    flags += ["--anneal-logits", logits, "--anneal-reduction", reduction]
    setup = annealing(data, teacher, *flags)
    setup.criterion.update_num = update
    sample = setup.batch()
    phi = 1 - (7 - update * 7 // 30 - 1) / 7

    def equation(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        kd = oracle.regression(z, others[0], phi, logits == "centred", reduction == "mean")
        return oracle.total([(0.8, kd)])

    teachers = members(str(teacher))
    assert_equal(setup, sample, *expect(setup, sample, teachers, [(reference(sample), equation)]))


def test_an_ensembles_logit_is_the_log_of_its_mean(
    data: Path, teacher: Path, second_teacher: Path
) -> None:
    paths = f"{teacher}:{second_teacher}"
    setup = annealing(data, paths, "--anneal-updates", 10)
    setup.criterion.update_num = 9
    sample = setup.batch()

    def equation(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
        mean = torch.tensor(oracle.mean_teacher(others, 1.0), dtype=torch.float64).log().tolist()
        return oracle.regression(z, mean, 1.0)

    parts = [(reference(sample), equation)]
    assert_equal(setup, sample, *expect(setup, sample, members(paths), parts))


def test_stage_2_is_cross_entropy_and_asks_no_teacher(data: Path, teacher: Path) -> None:
    setup = annealing(data, teacher, "--anneal-updates", 10, "--label-smoothing", 0.1)
    stock = build(
        data, *TINY, "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1
    )
    setup.criterion.update_num = 10
    calls: list[Any] = []
    setup.criterion.teacher.models[0].register_forward_hook(lambda *_: calls.append(None))
    sample = setup.batch()
    ours, theirs = setup.step(sample), stock.step(sample)
    assert ours[0].item() == pytest.approx(theirs[0].item(), rel=2e-6)
    assert ours[1] == theirs[1]
    assert not calls


def test_squared_errors_are_logged_as_they_are(data: Path, teacher: Path) -> None:
    """And the NLL in bits, in both stages."""
    setup = annealing(data, teacher, "--anneal-updates", 10, "--kd-weight", 3)
    for update in (3, 10):
        setup.criterion.update_num = update
        log = setup.step(setup.batch())[2]
        tokens = log["ntokens"]
        with metrics.aggregate() as told:
            setup.criterion.reduce_metrics([log])
        values = told.get_smoothed_values()
        nll = float(log["nll_loss"]) / tokens / math.log(2)
        assert values["nll_loss"] == pytest.approx(nll, abs=1e-3)
        if update == 3:
            assert values["kd_loss"] == pytest.approx(float(log["kd_loss"]) / tokens, abs=1e-3)
            assert values["loss"] == pytest.approx(3 * values["kd_loss"], abs=2e-3)
        else:
            assert "kd_loss" not in values
            assert values["loss"] == pytest.approx(nll, abs=1e-3)


def test_half_of_the_training_by_default(data: Path, teacher: Path) -> None:
    assert annealing(data, teacher, "--max-update", 31).criterion.updates == 15
    assert (
        annealing(data, teacher, "--max-update", 31, "--anneal-updates", 4).criterion.updates == 4
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--anneal-updates is not given and leaves no stage I; give its length in updates, or"),
        (
            ["--anneal-updates", 9, "--nll-weight", 0],
            "--nll-weight 0 leaves stage II without a loss",
        ),
    ],
)
def test_senseless_flags(data: Path, teacher: Path, flags: list[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        annealing(data, teacher, *flags)


def test_a_store_of_several_teachers_has_no_raw_logits(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    store = cache(data, f"{teacher}:{teacher}", tmp_path / "store", "--features")
    flags = ["--criterion", "annealing_kd", "--teacher-store", store, "--anneal-updates", 9]
    with pytest.raises(InputError, match="--anneal-logits raw: several teachers have no raw logit"):
        build(data, *TINY, *distillation(*flags, "--anneal-logits", "raw"))
    build(data, *TINY, *distillation(*flags))


def test_raw_logits_need_one_softmax(data: Path, teacher: Path, second_teacher: Path) -> None:
    raw = ["--anneal-updates", 9, "--anneal-logits", "raw"]
    with pytest.raises(InputError, match="--anneal-logits raw: several teachers have no raw logit"):
        annealing(data, f"{teacher}:{second_teacher}", *raw)
    setup = annealing(data, second_teacher, *raw)  # an LSTM
    with pytest.raises(
        InputError, match=r"the teacher has no logits .*\(--anneal-logits centred\)"
    ):
        setup.step(setup.batch())
