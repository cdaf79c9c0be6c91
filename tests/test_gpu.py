"""What a GPU computes, against the CPU; all of it is skipped where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq import utils

from kd_plugin.commands import cli

from . import support
from .stored import records
from .support import SCHEDULE, TINY, build, distillation, fairseq_train, teacher_flags

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

every_method = pytest.mark.parametrize("method", support.METHODS)
ON_GPU = [flag for flag in SCHEDULE if flag != "--cpu"]


def flags_of(method: str, teacher: Path, distilled: Path) -> list[object]:
    if method == "knn_kd":
        pytest.importorskip("faiss")
    sources = [*teacher_flags(method, teacher, distilled), "--distilled-data", distilled]
    short = support.SHORT.get(method, ())
    return ["--criterion", method, "--label-smoothing", 0.1, *sources, *short]


@every_method
@pytest.mark.parametrize("fused", ["on", "off"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-6), (torch.float32, 1e-4), (torch.float16, 0.03), (torch.bfloat16, 0.1)],
)
def test_a_step_is_the_one_of_the_cpu(
    method: str, fused: str, dtype: torch.dtype, tolerance: float,
    data: Path, teacher: Path, distilled: Path,
) -> None:  # fmt: skip
    """Loss and gradients; fairseq's attention rounds to float32 whatever the model."""
    flags = flags_of(method, teacher, distilled)
    exact = build(data, *TINY, *distillation(*flags, "--kd-fused", fused))
    sample = exact.batch()
    expected = exact.step(sample)
    there = build(data, *TINY, *distillation(*flags, "--kd-fused", fused))
    there.model.to("cuda", dtype)
    there.criterion.to("cuda", dtype if dtype == torch.float64 else torch.float32)
    loss, size, _, gradients = there.step(utils.move_to_cuda(sample))
    assert loss.is_cuda
    assert float(size) == float(expected[1])
    assert loss.item() == pytest.approx(expected[0].item(), rel=tolerance)
    ours = torch.cat([gradients[name].double().cpu().flatten() for name in gradients])
    theirs = torch.cat([expected[3][name].flatten() for name in gradients])
    assert (ours - theirs).norm() < 3 * tolerance * theirs.norm()


@every_method
@pytest.mark.parametrize("precision", [(), ("--fp16",), ("--amp",)])
def test_fairseq_trains(
    method: str, precision: tuple[str, ...], data: Path, teacher: Path, distilled: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A run on the GPU loses as much as one on the CPU, stopped and resumed as well."""
    flags = [*TINY, *distillation(*flags_of(method, teacher, distilled)), *precision]
    last = fairseq_train(data, tmp_path / "cpu", *flags[: len(flags) - len(precision)],
                         "--max-update", 6).stats("train_inner")[-1]  # fmt: skip
    monkeypatch.setattr(support, "SCHEDULE", ON_GPU)
    fairseq_train(data, tmp_path / "gpu", *flags, "--max-update", 3)
    on_gpu = fairseq_train(data, tmp_path / "gpu", *flags, "--max-update", 6).stats("train_inner")
    assert on_gpu[0]["num_updates"] == 4
    assert on_gpu[-1]["loss"] == pytest.approx(last["loss"], rel=0.05 if precision else 1e-3)


def test_commands_give_the_same(data: Path, teacher: Path, tmp_path: Path) -> None:
    """Stores and translations."""

    def made(name: str, *flags: str) -> tuple[Any, list[str]]:
        here = tmp_path / name
        words = [str(data), "--path", str(teacher), *flags]
        search = ["--subset", "test", "--beam", "3", "--engine", "fairseq"]
        cli.main(["cache", *words, "--subset", "valid", "--output", f"{here}/store"])
        cli.main(["generate", *words, *search, "--output", f"{here}/corpus"])
        into = ["-s", "xx", "-t", "yy", "--output", f"{here}/text"]
        cli.main(["text", f"{here}/corpus", "--subset", "test", *into])
        return records(here / "store", "valid"), (here / "text").read_text().splitlines()

    (theirs, expected), (ours, text) = made("cpu", "--cpu"), made("gpu")
    assert text == expected
    assert np.mean(ours["ids"] == theirs["ids"]) > 0.99  # but for ties
    np.testing.assert_allclose(ours["log_q"], theirs["log_q"], atol=2e-3)
    half, text = made("fp16", "--fp16")
    np.testing.assert_allclose(half["log_q"], theirs["log_q"], atol=0.05)
    assert len(text) == len(expected)
