"""The loss in chunks against the dense one: every method, teacher and number that is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.criterions import CRITERION_REGISTRY
from torch import Tensor

from kd_plugin.criterions.distillation import DistillationCriterion
from kd_plugin.errors import InputError
from kd_plugin.host.projection import why_not_a_product
from kd_plugin.ops import linear

from .. import support
from ..stored import cache
from ..support import TINY, Setup, build, distillation, teacher_flags, update

SHARED = ("--share-decoder-input-output-embed",)
ADAPTIVE = ("--adaptive-softmax-cutoff", "9,15", "--decoder-output-dim", "14")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows at a time, so that a batch has several chunks and a short last one."""
    monkeypatch.setattr(linear, "LEAST_ROWS", 7)
    monkeypatch.setattr(linear, "MOST_ROWS", 7)
    monkeypatch.setattr(linear, "BYTES", {"cpu": 1})


@pytest.fixture(scope="module")
def teachers(
    data: Path, teacher: Path, second_teacher: Path, distilled: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], list[object]]:  # fmt: skip
    """The flags of a teacher by its name; a store is written when it is first asked for."""
    stores = {
        **{tail: ("--tail", tail, "--top-k", 5) for tail in ("renormalise", "uniform", "ghost")},
        "features": ("--features",),
    }
    folder = tmp_path_factory.mktemp("stores")

    def flags(name: str) -> list[object]:
        if name == "neighbours":
            return teacher_flags("knn_kd", teacher, data)
        if name in stores:
            if not (folder / name).exists():
                cache(data, teacher, folder / name, *stores[name])
            return ["--teacher-store", folder / name]
        return ["--teacher-path", f"{teacher}:{second_teacher}" if name == "ensemble" else teacher]

    return flags


def both(data: Path, *flags: object, student: Sequence[str] = TINY) -> tuple[Setup, Setup]:
    """The same student, fused and dense."""
    fused, dense = (
        build(data, *student, *distillation(*flags, "--label-smoothing", 0.1, "--kd-fused", how))
        for how in ("on", "off")
    )
    return fused, dense


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each fused loss had."""
    found: list[int] = []
    real = linear.linear_loss

    def counted(features: Tensor, *others: Any) -> Any:
        found.append(len(features))
        return real(features, *others)

    monkeypatch.setattr("kd_plugin.criterions.output.linear_loss", counted)
    return found


def assert_same(fused: Any, dense: Any) -> None:
    """Loss, sample size, every logged number and every gradient."""
    torch.testing.assert_close(fused[0], dense[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(float(fused[1]), float(dense[1]), rtol=1e-12, atol=0)
    assert fused[2].keys() == dense[2].keys()
    for key, value in dense[2].items():
        ours, theirs = (torch.as_tensor(x, dtype=torch.float64) for x in (fused[2][key], value))
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10, msg=key)
    assert fused[3].keys() == dense[3].keys()
    for name, gradient in dense[3].items():
        torch.testing.assert_close(fused[3][name], gradient, rtol=1e-10, atol=1e-10)


WAYS = {
    "word_kd": ((), ("--kd-temperature", 2.5), ("--kd-target", "top-k", "--kd-target-k", 3),
                ("--kd-target", "top1"), ("--kd-target", "no-top1")),
    "selective_kd": (("--kd-select", "batch"), ("--kd-select-by", "teacher-entropy"),
                     ("--kd-select-by", "sentence-ce", "--kd-temperature", 2.5),
                     ("--kd-select-by", "teacher-gold-probability")),
    "tie_kd": ((), ("--kd-temperature", 2.5)),
    "annealing_kd": (("--anneal-updates", 10),),
    "hybrid_kd": ((), ("--hybrid-gate", "fixed", "--kd-temperature", 2.5), ("--nll-weight", 1)),
}  # fmt: skip
STORED = ("renormalise", "uniform", "ghost", "features")
KINDS = {"features": "features"}


def cases() -> Iterator[Any]:
    for method in support.METHODS:
        kind: type[DistillationCriterion] = CRITERION_REGISTRY[method]
        names = ["live", "ensemble"] if method != "knn_kd" else ["neighbours"]
        names += [
            n for n in STORED if ("features" if n == "features" else "beliefs") in kind.reads_stores
        ]
        for name in names:
            for way in WAYS.get(method, ((),)):
                yield pytest.param(method, name, way, id="-".join(map(str, (method, name, *way))))


def possible(method: str, name: str, way: tuple[object, ...]) -> bool:
    """A ghost has no single probabilities; a method that is not known here may ask for them."""
    whole = method not in WAYS or {"--kd-temperature", "no-top1"} & set(way)
    return name != "ghost" or not whole


@pytest.mark.parametrize(("method", "name", "way"), cases())
def test_every_method_and_teacher(
    method: str, name: str, way: tuple[object, ...], data: Path, distilled: Path,
    teachers: Callable[[str], list[object]],
) -> None:  # fmt: skip
    if not possible(method, name, way):
        pytest.skip("a ghost has no probabilities of single tokens")
    if method == "tie_kd" and name in STORED:
        way = (*way, "--tie-iterations", 1, "--tie-top-k", 0 if name == "ghost" else 3)
        if name in ("renormalise", "uniform"):
            way = (*way, "--tie-top-k", 5)
    flags = ["--criterion", method, *teachers(name), *way]
    if method in ("hybrid_kd", "seq_kd"):
        flags += ["--distilled-data", distilled]
    setup = build(data, *TINY, *distillation(*flags, "--label-smoothing", 0.1, "--kd-fused", "on"))
    sample = setup.batch()
    fused = setup.step(sample)
    setup.criterion.cfg.kd_fused = "off"
    assert_same(fused, setup.step(sample))


@pytest.mark.parametrize("method", support.METHODS)
@pytest.mark.parametrize(
    "flags", [("--sentence-avg",), ("--nll-weight", 1, "--kd-weight", 0), SHARED],
    ids=["sentence-avg", "plain", "shared"],
)  # fmt: skip
def test_every_method(
    method: str, flags: tuple[object, ...], data: Path, teacher: Path, distilled: Path,
    calls: list[int],
) -> None:  # fmt: skip
    given = ["--criterion", method, *teacher_flags(method, teacher, distilled)]
    given += ["--distilled-data", distilled, *support.METHODS[method], *flags]
    fused, dense = both(data, *given)
    sample = fused.batch()
    assert_same(fused.step(sample), dense.step(sample))
    assert calls
    assert not any("output" in name and g.eq(0).all() for name, g in fused.step(sample)[3].items())


@pytest.mark.parametrize("method", support.METHODS)
def test_an_evaluation_and_the_losses_of_tokens(
    method: str, data: Path, teacher: Path, distilled: Path, calls: list[int]
) -> None:
    flags = ["--criterion", method, *teacher_flags(method, teacher, distilled)]
    flags += ["--distilled-data", distilled, *support.METHODS[method]]
    fused, dense = both(data, *flags)
    sample = fused.batch()
    for reduce in (True, False):
        with torch.no_grad():
            ours, theirs = (
                setup.criterion.eval()(setup.model.eval(), sample, reduce)
                for setup in (fused, dense)
            )
        assert_same((*ours, {}), (*theirs, {}))
    assert calls
    calls.clear()
    fused.criterion(fused.model, sample, reduce=False)[0].sum().backward()
    assert not calls  # a loss of single tokens that has a gradient is dense


def test_an_update_of_a_queue_is_the_same(data: Path, teacher: Path) -> None:
    flags = ["--criterion", "selective_kd", "--teacher-path", teacher, "--kd-queue-size", 41]
    queues = []
    for setup in both(data, *flags):
        for step in range(3):
            update(setup, [setup.batch(rows=range(5 * step, 5 * step + 5))], step)
        queues.append(setup.criterion.memory.values)
    torch.testing.assert_close(*queues, rtol=1e-12, atol=0)


@pytest.mark.parametrize("method", support.METHODS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, "autocast"])
def test_half_precision(
    dtype: Any, method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    """Gradients of the output layer are no farther from float64's than the dense ones are."""
    flags = ["--criterion", method, *teacher_flags(method, teacher, distilled)]
    flags += ["--distilled-data", distilled, *support.METHODS[method]]
    if method == "tie_kd":
        flags += ["--tie-iterations", 1]  # a rounded prefix is another prefix
    fused, dense = both(data, *flags)
    sample = fused.batch()
    exact = dense.step(sample)[3]
    errors = []
    for setup in (fused, dense):
        setup.model.to(torch.float32 if dtype == "autocast" else dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "autocast"):
            loss, _, _ = setup.criterion(setup.model, sample)
        assert loss.dtype == torch.float32
        setup.model.zero_grad()
        loss.backward()
        gradient = setup.model.decoder.output_projection.weight.grad
        expected = exact["decoder.output_projection.weight"]
        errors.append((gradient - expected).norm() / expected.norm())
    assert errors[0] <= 1.1 * errors[1] + 2e-3


# Where it steps aside


def test_no_padding_is_projected(data: Path, teacher: Path, calls: list[int]) -> None:
    fused, _ = both(data, "--criterion", "word_kd", "--teacher-path", teacher)
    sample = fused.batch()
    fused.step(sample)
    assert calls == [sample["ntokens"]]


def biased(model: Any) -> None:
    layer = model.decoder.output_projection
    layer.bias = torch.nn.Parameter(torch.zeros(layer.out_features, dtype=torch.float64))


def other_layer(model: Any) -> None:
    model.decoder.output_projection = torch.nn.Sequential(model.decoder.output_projection)


def other_probabilities(model: Any) -> None:
    kind = type(model)
    model.__class__ = type(kind.__name__, (kind,), {"get_normalized_probs": lambda *_: None})


def other_decoder(model: Any) -> None:
    kind = type(model.decoder)
    members = {"output_layer": lambda self, features: 2 * self.output_projection(features)}
    model.decoder.__class__ = type("Doubled", (kind,), members)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (biased, "has a bias"),
        (other_layer, "no plain matrix"),
        (other_probabilities, "a way of its own"),
        (other_decoder, "no plain matrix"),
    ],
)
def test_other_outputs_are_no_product(
    change: Callable[[Any], None], words: str, data: Path, teacher: Path
) -> None:
    model = both(data, "--criterion", "word_kd", "--teacher-path", teacher)[0].model
    assert why_not_a_product(model) is None
    change(model)
    assert words in str(why_not_a_product(model))


def test_a_sharded_model_is_no_product(data: Path, teacher: Path) -> None:
    class FullyShardedDataParallel(torch.nn.Module):
        def __init__(self, module: torch.nn.Module):
            super().__init__()
            self.module = module

    model = both(data, "--criterion", "word_kd", "--teacher-path", teacher)[0].model
    assert "shards" in str(why_not_a_product(FullyShardedDataParallel(model)))


LSTM = (
    "--arch lstm --encoder-embed-dim 10 --decoder-embed-dim 10 --encoder-hidden-size 12 "
    "--decoder-hidden-size 12 --decoder-out-embed-dim 10"
).split()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((*TINY, *ADAPTIVE), "TransformerModel has an adaptive softmax"),
        (LSTM, "LSTMModel makes its probabilities in a way of its own"),
    ],
)
def test_auto_says_once_why_it_is_dense_and_on_refuses(
    flags: Any, words: str, data: Path, teacher: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = distillation("--criterion", "word_kd", "--teacher-path", teacher)
    with caplog.at_level("INFO"):
        setup = build(data, *flags, *command)
        setup.step(setup.batch())
        setup.step(setup.batch())
    said = [m for m in caplog.messages if "not fused" in m]
    assert said == [f"--kd-fused auto: the loss is not fused, because {words}"]
    with pytest.raises(InputError, match=f"--kd-fused on: {words}; give --kd-fused auto"):
        build(data, *flags, *command, "--kd-fused", "on")


def test_raw_logits_are_dense(data: Path, teacher: Path) -> None:
    flags = ["--criterion", "annealing_kd", "--teacher-path", teacher, "--anneal-updates", 10]
    with pytest.raises(InputError, match="reads the student's logits"):
        both(data, *flags, "--anneal-logits", "raw")


def test_a_method_that_reads_everything_works_as_well(data: Path, teacher: Path) -> None:
    """Weights of the student's and the teacher's whole distributions."""

    def weights(reading: Any, q: Any, log: Any) -> Tensor:
        found: Tensor = (reading.log_p.detach().exp() * q.q).sum(-1)
        return found

    setups = both(data, "--criterion", "word_kd", "--teacher-path", teacher)
    sample = setups[0].batch()
    for setup in setups:
        setup.criterion.token_weights = weights
    assert_same(*(setup.step(sample) for setup in setups))


def test_by_hand_is_what_autograd_finds(data: Path, teacher: Path) -> None:
    """The same method with a token_loss of its own, as a contributor would write it."""
    fused, dense = both(data, "--criterion", "word_kd", "--teacher-path", teacher)
    sample = fused.batch()
    expected = dense.step(sample)
    assert not fused.criterion.by_autograd
    fused.criterion.token_loss = lambda log_p, q, y: (q.q * (q.log_q - log_p)).sum(-1)
    assert fused.criterion.by_autograd
    assert_same(fused.step(sample), expected)
