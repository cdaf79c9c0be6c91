"""Averaging and exporting: checkpoints in, one checkpoint out."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf

from ..errors import InputError
from ..files.output import new_file
from ..teachers.checkpoints import read_checkpoint, recorded_dictionaries


def average(checkpoints: Sequence[Path], output: Path, replace: bool = False) -> None:
    """Write the element-wise mean of the weights, summed in float64; the rest is the last's.

    Args:
        checkpoints: of one run.
        output: the file; one that is there is replaced only with ``replace``.

    Raises:
        InputError: a file cannot be read, or the checkpoints are not of one architecture.
    """
    with new_file(output, replace=replace) as part:
        _save(_mean(checkpoints), part)


def _mean(checkpoints: Sequence[Path]) -> dict[str, Any]:
    sums: dict[str, torch.Tensor] = {}
    for path in checkpoints:
        weights = read_checkpoint(str(path), str(path))["model"]
        if sums and shapes(weights) != shapes(sums):
            raise InputError(
                f"{path} has other weights than {checkpoints[0]}; average checkpoints of one run"
            )
        for name, weight in weights.items():
            if weight.is_floating_point():
                sums[name] = sums[name] + weight.double() if name in sums else weight.double()
            else:
                sums[name] = weight
    state: dict[str, Any] = torch.load(checkpoints[-1], map_location="cpu", weights_only=True)
    for name, weight in state["model"].items():
        if weight.is_floating_point():
            state["model"][name] = (sums[name] / len(checkpoints)).to(weight.dtype)
    state.pop("last_optimizer_state", None)
    return state


def shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    """The shape of each weight."""
    return {name: weight.shape for name, weight in weights.items()}


def export(checkpoint: Path, output: Path) -> None:
    """Write a student as plain data, see ``--help``; where it comes from stays in ``origin``.

    Raises:
        InputError: the file cannot be read, or its architecture is this plugin's.
    """
    state = read_checkpoint(str(checkpoint), str(checkpoint))
    cfg = state["cfg"]
    _require_stock_architecture(cfg.model, checkpoint)
    stock = {field.name for field in fields(TASK_DATACLASS_REGISTRY["translation"])}
    task = {key: value for key, value in _plain(cfg.task).items() if key in stock}
    for code, key in zip(recorded_dictionaries(state), ("source_lang", "target_lang")):
        task[key] = task.get(key) or code
    last = state["optimizer_history"][-1]
    history = {"num_updates": last["num_updates"], "optimizer_name": last["optimizer_name"]}
    plain = {
        "args": None,
        "cfg": {"task": {**task, "_name": "translation"}, "model": _plain(cfg.model)},
        "model": dict(state["model"]),
        "optimizer_history": [{**history, "lr_scheduler_state": {}}],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        "task_state": {},
        "origin": {"signature": str(state["task_state"].get("signature", ""))},
    }
    with new_file(output, "OUTPUT") as part:
        _save(plain, part)


def _require_stock_architecture(cfg: Any, checkpoint: Path) -> None:
    arch = getattr(cfg, "arch", None) or getattr(cfg, "_name", None)
    if getattr(ARCH_MODEL_REGISTRY.get(arch), "__module__", "").startswith("kd_plugin."):
        raise InputError(
            f"{checkpoint} is a {arch}, which stock fairseq does not have; translate with the "
            "checkpoint itself and --user-dir"
        )


def _plain(cfg: Any) -> dict[str, Any]:
    """A configuration as dictionaries, lists and numbers, without the classes it was made of."""
    if isinstance(cfg, argparse.Namespace):
        kinds = (str, int, float, bool, list, type(None))
        return {key: value for key, value in vars(cfg).items() if isinstance(value, kinds)}
    container: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    return container


def _save(state: Any, part: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)  # which would turn a full disk into an error of its own
    part.write_bytes(buffer.getbuffer())
