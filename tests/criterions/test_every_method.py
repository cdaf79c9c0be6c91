"""What holds for every registered criterion of ours, whatever its equation.

A new method is found here by its registration; nothing needs to be added.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss

from kd_plugin import criterions
from kd_plugin.errors import InputError
from kd_plugin.teachers import WholeBelief

from .. import support
from ..support import TINY, Setup, build, distillation, teacher_flags

every_method = pytest.mark.parametrize("method", support.METHODS)


# What a method cannot do without, or needs so that a token's loss is no matter of its batch.
NEEDED = {
    "annealing_kd": ("--anneal-updates", 10),
    "selective_kd": ("--kd-select-rate", 1),
}


def setup_of(
    method: str, data: Path, teacher: Path, distilled: Path, *flags: Any, **options: Any
) -> Setup:
    """A method with a teacher and, unless it must read one text only, both targets."""
    sources = [*teacher_flags(method, teacher, distilled), "--distilled-data", distilled]
    needed = NEEDED.get(method, ())
    command = ["--criterion", method, "--label-smoothing", 0.1, *sources, *needed, *flags]
    return build(data, *TINY, *distillation(*command), **options)


def test_all_methods_are_registered() -> None:
    """Each file of a method registers its name, and what tests are told of is there."""
    files = Path(criterions.__file__).parent.glob("*_kd.py")
    assert {file.stem for file in files} == set(support.METHODS)
    assert {*support.SHORT, *NEEDED} <= set(support.METHODS)


@every_method
def test_gradient_of_the_whole_loss(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    """The gradient in a random direction against central differences of the loss."""
    setup = setup_of(method, data, teacher, distilled)
    sample = setup.batch()
    _, _, _, gradients = setup.step(sample)
    torch.manual_seed(5)
    direction = {name: torch.randn_like(g) for name, g in gradients.items()}
    for name in direction:
        if name.endswith(
            "embed_tokens.weight"
        ):  # no gradient reaches padding, which tie_kd may read
            direction[name][setup.task.target_dictionary.pad()] = 0
    slope = sum((gradients[name] * d).sum() for name, d in direction.items())

    def moved(step: float) -> torch.Tensor:
        there = copy.deepcopy(setup.model)
        with torch.no_grad():
            for name, parameter in there.named_parameters():
                parameter += step * direction[name]
        loss: torch.Tensor = setup.criterion(there, sample)[0].detach()
        return loss

    h = 1e-7  # small enough that no token changes its rank
    torch.testing.assert_close((moved(h) - moved(-h)) / (2 * h), slope, rtol=1e-6, atol=1e-6)


@every_method
def test_gradcheck_of_the_equation(method: str, data: Path, teacher: Path, distilled: Path) -> None:
    criterion = setup_of(method, data, teacher, distilled).criterion
    torch.manual_seed(2)
    z = torch.randn(7, 13, dtype=torch.float64, requires_grad=True)
    q = WholeBelief.of(torch.randn(7, 13, dtype=torch.float64).log_softmax(-1))
    y = torch.randint(13, (7,))
    assert torch.autograd.gradcheck(lambda z: criterion.token_loss(z.log_softmax(-1), q, y), (z,))


@every_method
def test_without_distillation_it_is_stock_cross_entropy(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    setup = build(
        data,
        *TINY,
        *distillation("--criterion", method, "--label-smoothing", 0.1),
        *("--nll-weight", 1, "--kd-weight", 0, *teacher_flags(method, teacher, data)),
        double=False,
    )
    flags = ["--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1]
    stock = build(data, *TINY, "--task", "translation", *flags, double=False)
    stock.model.load_state_dict(setup.model.state_dict())
    sample = setup.batch()
    assert_same_step(setup.step(sample), stock.step(sample), 2e-6)

    # fairseq rounds log-probabilities to float32 whatever the model: feed its formula float64 ones
    setup.model.double(), stock.model.double()
    loss, _, _, gradients = setup.step(sample)
    log_p = stock.model(**sample["net_input"])[0].log_softmax(-1)
    target, pad = sample["target"], stock.task.target_dictionary.pad()
    expected, _ = label_smoothed_nll_loss(log_p, target, 0.1, ignore_index=pad)
    stock.model.zero_grad()
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    for name, parameter in stock.model.named_parameters():
        assert parameter.grad is not None
        difference = (gradients[name] - parameter.grad).norm() / parameter.grad.norm()
        assert difference < 1e-12 or parameter.grad.norm() < 1e-12, name


def assert_same_step(ours: Any, theirs: Any, tolerance: float) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=tolerance, atol=0)
    assert ours[1] == theirs[1]
    largest = max(gradient.abs().max().item() for gradient in theirs[3].values())
    for name, gradient in theirs[3].items():  # one of them is 0 but for float32's rounding
        atol = tolerance * gradient.abs().max().item() + 1e-7 * largest
        torch.testing.assert_close(ours[3][name], gradient, rtol=0, atol=atol)


@every_method
def test_evaluation_with_nothing_to_teach_is_stock_cross_entropy(method: str, data: Path) -> None:
    flags = ["--criterion", method, "--label-smoothing", 0.1]
    weights = ["--nll-weight", 0.4, "--kd-weight", 0]
    setup = build(data, *TINY, *distillation(*flags, *weights), double=False)
    stock = build(
        data, *TINY, "--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1,
        double=False,
    )  # fmt: skip
    sample = setup.batch("valid")
    setup.model.eval()
    ours = setup.criterion(setup.model, sample)[0]
    theirs = stock.criterion(setup.model, sample)[0]
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=0)


@every_method
def test_a_batch_is_the_sum_of_its_sentences(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    setup = setup_of(method, data, teacher, distilled)
    setup.task.load_dataset("train")
    dataset = setup.task.dataset("train")
    whole = setup.step(setup.batch(rows=range(7)))
    single = [setup.step(dataset.collater([dataset[row]])) for row in range(7)]
    assert whole[0].item() == pytest.approx(sum(loss.item() for loss, *_ in single), rel=1e-12)
    assert float(whole[1]) == pytest.approx(sum(float(size) for _, size, *_ in single), rel=1e-12)
    for key, value in whole[2].items():
        if not key.startswith("spread_of_"):
            parts = sum(float(log[key]) for *_, log, _ in single)
            assert float(value) == pytest.approx(parts, rel=1e-9, abs=1e-9), key
    for name, gradient in whole[3].items():
        parts = sum(gradients[name] for *_, gradients in single)
        torch.testing.assert_close(gradient, parts, rtol=1e-9, atol=1e-12)


@every_method
def test_more_padding_and_another_order_change_nothing(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    setup = setup_of(method, data, teacher, distilled)
    sample = setup.batch()
    padded = copy.deepcopy(sample)
    pad = setup.task.target_dictionary.pad()
    order = torch.tensor([3, 1, 4, 0, 2])

    def widen(tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(tokens, (0, 3), value=pad)[order]

    if "stored" in padded["distilled"]:
        lengths = padded["distilled"]["target"].ne(pad).sum(1).tolist()
        parts = padded["distilled"]["stored"].split(lengths)
        padded["distilled"]["stored"] = torch.cat([parts[row] for row in order])
    for part in (padded, padded["distilled"], padded["net_input"]):
        for key in {"target", "prev_output_tokens"} & part.keys():
            part[key] = widen(part[key])
    inputs = padded["net_input"]
    inputs["src_tokens"] = torch.nn.functional.pad(inputs["src_tokens"], (2, 0), value=pad)[order]
    inputs["src_lengths"] = inputs["src_lengths"][order]
    ours, theirs = setup.step(padded), setup.step(sample)
    assert ours[0].item() == pytest.approx(theirs[0].item(), rel=1e-12)
    for name, gradient in theirs[3].items():
        torch.testing.assert_close(ours[3][name], gradient, rtol=1e-9, atol=1e-12)


@every_method
def test_a_step_leaves_the_batch_alone(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    setup = setup_of(method, data, teacher, distilled)
    sample = setup.batch()
    before = copy.deepcopy(sample)
    setup.step(sample)
    torch.testing.assert_close(sample, before, rtol=0, atol=0)


@every_method
def test_losses_of_single_tokens_add_up(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    setup = setup_of(method, data, teacher, distilled)
    sample = setup.batch()
    loss, _, _ = setup.criterion(setup.model, sample)
    tokens, _, _ = setup.criterion(setup.model, sample, reduce=False)
    assert tokens.dim() == 1
    torch.testing.assert_close(tokens.sum(), loss)


@pytest.mark.parametrize("method", [name for name in support.METHODS if name != "knn_kd"])
def test_several_teachers_are_one(
    method: str, data: Path, teacher: Path, second_teacher: Path, distilled: Path
) -> None:
    """Two copies are the teacher itself; another member is felt by what reads the teacher."""

    def step(paths: str) -> Any:
        setup = setup_of(method, data, teacher, distilled, "--teacher-path", paths)
        return setup.step(setup.batch())

    one = step(str(teacher))
    twice, mixed = step(f"{teacher}:{teacher}"), step(f"{teacher}:{second_teacher}")
    assert twice[0].item() == pytest.approx(one[0].item(), rel=1e-12)
    for name, gradient in one[3].items():
        torch.testing.assert_close(twice[3][name], gradient, rtol=1e-9, atol=1e-12)
    assert (mixed[0].item() == one[0].item()) == (method == "seq_kd")


@every_method
def test_half_precision_keeps_the_loss_in_float32(
    method: str, data: Path, teacher: Path, distilled: Path
) -> None:
    setup = setup_of(method, data, teacher, distilled)
    sample = setup.batch()
    exact = setup.criterion(setup.model, sample)[0]
    setup.model.to(torch.bfloat16)
    loss = setup.criterion(setup.model, sample)[0]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)


@every_method
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--kd-weight", "nan"], "--kd-weight nan"),
        (["--nll-weight", 0, "--kd-weight", 0], "leave no loss"),
    ],
)
def test_senseless_numbers_are_refused(
    method: str, flags: list[Any], words: str, data: Path, teacher: Path, distilled: Path
) -> None:
    with pytest.raises(InputError, match=words):
        setup_of(method, data, teacher, distilled, *flags)


@every_method
def test_another_task_is_refused(method: str, data: Path, teacher: Path) -> None:
    flags = distillation("--criterion", method, *teacher_flags(method, teacher, data))
    with pytest.raises(InputError, match=f"--criterion {method} .* add --task distillation"):
        build(data, *TINY, *flags, "--task", "translation")


@every_method
def test_every_flag_reaches_the_parser(method: str) -> None:
    """fairseq drops a flag whose name is taken, without a word."""
    from dataclasses import fields

    from fairseq import options
    from fairseq.criterions import CRITERION_DATACLASS_REGISTRY

    parser = options.get_training_parser()
    command = ["data", "--arch", "transformer", *distillation("--criterion", method)]
    parsed = options.parse_args_and_arch(parser, input_args=command)
    for declared in fields(CRITERION_DATACLASS_REGISTRY[method]):
        if not declared.name.startswith("_"):
            default = getattr(parsed, declared.name)
            expected = declared.default
            assert str(default) == str(expected) or str(expected).startswith("${"), declared.name
