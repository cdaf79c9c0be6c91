"""Ranking, iterations on the student's own prefix, and what they cost."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.models import FairseqEncoder

from kd_plugin.criterions.tie_kd import own_prefix, ranking
from kd_plugin.errors import InputError
from kd_plugin.teachers import WholeBelief

from .. import oracle
from ..support import TINY, Setup, build, distillation
from .test_oracle import assert_equal, expect, logits, members, reference


def tie(data: Path, teacher: object, *flags: object) -> Setup:
    command = ["--criterion", "tie_kd", "--teacher-path", teacher, *flags]
    return build(data, *TINY, *distillation(*command))


@pytest.mark.parametrize("ensemble", [False, True], ids=["one", "ensemble"])
@pytest.mark.parametrize(("k", "n", "T"), [(5, 3, 1.0), (2, 1, 2.0), (0, 2, 1.0), (17, 2, 1.0)])
def test_against_the_equation(
    data: Path, teacher: Path, second_teacher: Path, ensemble: bool, k: int, n: int, T: float
) -> None:
    paths = f"{teacher}:{second_teacher}" if ensemble else str(teacher)
    flags = ["--tie-top-k", k, "--tie-iterations", n, "--kd-temperature", T]
    weights = ["--nll-weight", 0.3, "--kd-weight", 0.6, "--label-smoothing", 0.1]
    setup = tie(data, paths, *flags, *weights)
    sample = setup.batch()
    pad = setup.task.target_dictionary.pad()

    texts = [reference(sample)]
    for _ in range(n - 1):  # the student's likeliest tokens, one place later
        best = logits(setup.model, sample, texts[-1]).argmax(-1).tolist()
        prefix = texts[-1]["prev_output_tokens"].tolist()
        for b, row in enumerate(sample["target"].tolist()):
            for t in range(1, len(row)):
                if row[t] != pad:
                    prefix[b][t] = best[b][t - 1]
        texts.append({"target": sample["target"], "prev_output_tokens": torch.tensor(prefix)})

    def equation(first: bool) -> Any:
        def of_token(z: list[float], others: list[list[float]], gold: int) -> oracle.Term:
            terms = [(0.6 / n, oracle.word_kd(z, others, gold, T))]
            terms += [(0.6 / n, oracle.ranking(z, others, k))] if k else []
            terms += [(0.3, oracle.smoothed_nll(z, gold, 0.1))] if first else []
            return oracle.total(terms)

        return of_token

    parts = [(text, equation(i == 0)) for i, text in enumerate(texts)]
    assert_equal(setup, sample, *expect(setup, sample, members(paths), parts))


def belief(*p: float) -> WholeBelief:
    return WholeBelief.of(torch.tensor([p], dtype=torch.float64).log())


def test_ranking_by_hand() -> None:
    """Student (.2, .5, .3) under teacher (.6, .3, .1)."""
    q, log_p = belief(0.6, 0.3, 0.1), belief(0.2, 0.5, 0.3).log_q
    # k = 1: R1 is 0; in R2 the student's first is above the teacher's first by .3
    assert ranking(log_p, q, 1).item() == pytest.approx(0.3)
    # k = 2: R1 .5 - .2; R2 of u = 0: w = 1 by .3 and w = 2 by .1; of u = 1: none
    assert ranking(log_p, q, 2).item() == pytest.approx(0.3 + 0.3 + 0.1)
    assert ranking(q.log_q, q, 3).item() == 0
    # swapping the student's first two counts once in R1 and once in R2
    assert ranking(belief(0.3, 0.6, 0.1).log_q, q, 2).item() == pytest.approx(2 * 0.3)


def test_one_iteration_without_ranking_is_word_kd(data: Path, teacher: Path) -> None:
    ours = tie(data, teacher, "--tie-top-k", 0, "--tie-iterations", 1, "--kd-temperature", 2)
    flags = ["--criterion", "word_kd", "--teacher-path", teacher, "--kd-temperature", 2]
    theirs = build(data, *TINY, *distillation(*flags))
    sample = ours.batch()
    (a, _, _, ours_by), (b, _, _, theirs_by) = ours.step(sample), theirs.step(sample)
    assert a.item() == pytest.approx(b.item(), rel=1e-14)
    for name, gradient in theirs_by.items():
        torch.testing.assert_close(ours_by[name], gradient, rtol=1e-12, atol=1e-14)


def test_the_encoders_run_once(data: Path, teacher: Path) -> None:
    setup = tie(data, teacher)
    calls: list[Any] = []
    for model in (setup.model, setup.criterion.teacher.models[0]):
        assert isinstance(model.encoder, FairseqEncoder)
        model.encoder.register_forward_hook(lambda *_: calls.append("encoder"))
        model.decoder.register_forward_hook(lambda *_: calls.append("decoder"))
    setup.step(setup.batch())
    assert calls.count("encoder") == 2
    assert calls.count("decoder") == 6


def test_agreement_of_each_iteration(data: Path, teacher: Path) -> None:
    setup = tie(data, teacher)
    log = setup.step(setup.batch())[2]
    assert {"agreement", "agreement_2", "agreement_3"} <= set(log)


def test_left_padded_prefixes(data: Path, teacher: Path) -> None:
    setup = tie(data, teacher)
    right = setup.criterion.read(setup.model, setup.batch(), text_of(setup, setup.batch()))[0]
    shift = torch.arange(right.real.size(1))
    rolled = copy.copy(right)
    for b, length in enumerate(right.real.sum(1).tolist()):
        assert right.real[b, :length].all()
        own = own_prefix(right)[b]
        best = right.log_p[right.sentence == b].argmax(-1)
        assert own[0] == right.net_input["prev_output_tokens"][b, 0]
        assert own[1:length].tolist() == best[:-1].tolist()
        assert (own[length:] == right.net_input["prev_output_tokens"][b, length:]).all()
    order = (shift - (right.real.size(1) - right.real.sum(1, keepdim=True))) % right.real.size(1)
    prefix = right.net_input["prev_output_tokens"].gather(1, order)
    rolled = right._replace(
        net_input={"prev_output_tokens": prefix}, real=right.real.gather(1, order)
    )
    assert own_prefix(rolled).tolist() == own_prefix(right).gather(1, order).tolist()


def text_of(setup: Setup, sample: Any) -> Any:
    from kd_plugin.criterions.reading import texts

    return texts(sample)[0]


def test_k_is_at_most_the_vocabulary(data: Path, teacher: Path) -> None:
    words = "--tie-top-k 99 is out of range; give 0 to 24, the vocabulary"
    with pytest.raises(InputError, match=words):
        tie(data, teacher, "--tie-top-k", 99)
