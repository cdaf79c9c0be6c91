"""A tiny corpus, tiny models, and fairseq's own command line inside one process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from fairseq import checkpoint_utils, options, tasks, utils
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import preprocess, train, validate

import kd_plugin
from kd_plugin.commands import cli
from kd_plugin.criterions.distillation import DistillationCriterion

USER_DIR = str(Path(kd_plugin.__file__).parent)
WORDS = [f"w{i}" for i in range(13)]

# Odd sizes, so that a transposed axis cannot pass; no dropout, so that losses repeat.
TINY = (
    "--arch transformer --encoder-layers 1 --decoder-layers 1 --encoder-attention-heads 2 "
    "--decoder-attention-heads 2 --encoder-embed-dim 14 --decoder-embed-dim 14 "
    "--encoder-ffn-embed-dim 22 --decoder-ffn-embed-dim 22 --dropout 0"
).split()
WIDER = (
    "--arch transformer --encoder-layers 2 --decoder-layers 1 --encoder-attention-heads 2 "
    "--decoder-attention-heads 2 --encoder-embed-dim 26 --decoder-embed-dim 26 "
    "--encoder-ffn-embed-dim 30 --decoder-ffn-embed-dim 30 --dropout 0.1"
).split()
SCHEDULE = (
    "--optimizer adam --lr 0.01 --max-tokens 60 --required-batch-size-multiple 1 --cpu "
    "--no-progress-bar --log-format json --log-interval 1 --num-workers 0 --no-epoch-checkpoints"
).split()


# What a method is given where any would do: values that let every part of it act in a short run.
SHORT: dict[str, tuple[object, ...]] = {
    "selective_kd": ("--kd-queue-size", 70),
    "annealing_kd": ("--anneal-updates", 16, "--anneal-max-temperature", 3),
    "hybrid_kd": ("--hybrid-gate-warmup", 10),
    "knn_kd": ("--knn-temperature", 3),
}
# Every registered criterion of ours, with those flags; a new one is found by its registration.
METHODS = {
    name: SHORT.get(name, ())
    for name, criterion in sorted(CRITERION_REGISTRY.items())
    if issubclass(criterion, DistillationCriterion)
}


def teacher_flags(method: str, teacher: Path, data: Path) -> list[object]:
    """What a method learns from: a live teacher, or the neighbours of the targets in ``data``."""
    if method != "knn_kd":
        return ["--teacher-path", teacher]
    output = teacher.parent / f"neighbours.{data.parent.name}"
    if not output.exists():
        keys = str(teacher.parent / f"keys.{data.parent.name}")
        cli.main(["datastore", str(data), "--path", str(teacher), "--output", keys, "--cpu"])
        cli.main(["neighbours", keys, "--k", "16", "--output", str(output)])
    return ["--teacher-store", output]


def write_corpus(
    folder: Path, sizes: dict[str, int], seed: int = 0, dictionary: Path | None = None
) -> Path:
    """Binarise random sentences from ``xx`` and their translation to ``yy``: reversed, in capitals.

    With ``dictionary`` (a binarised folder) its dictionaries are used.
    """
    generator = random.Random(seed)
    pairs = {split: [_pair(generator) for _ in range(size)] for split, size in sizes.items()}
    return binarise(folder, pairs, dictionary)


def write_lines(folder: Path, sizes: dict[str, int], codes: tuple[str, str], seed: int = 0) -> None:
    """Such sentences as plain text, ``folder/split.code``."""
    generator = random.Random(seed)
    pairs = {split: [_pair(generator) for _ in range(size)] for split, size in sizes.items()}
    _write(folder, pairs, codes)


def _write(
    folder: Path, pairs: Mapping[str, Sequence[tuple[str, str]]], codes: tuple[str, str]
) -> None:
    folder.mkdir(parents=True)
    for split, lines in pairs.items():
        for side, code in enumerate(codes):
            (folder / f"{split}.{code}").write_text("".join(line[side] + "\n" for line in lines))


def _pair(generator: random.Random) -> tuple[str, str]:
    source = [generator.choice(WORDS) for _ in range(generator.randint(1, 9))]
    return " ".join(source), " ".join(word.upper() for word in reversed(source))


def binarise(
    folder: Path, pairs: Mapping[str, Sequence[tuple[str, str]]], dictionary: Path | None = None
) -> Path:
    """Run fairseq-preprocess on pairs of lines."""
    text = folder.with_name(folder.name + ".text")
    _write(text, pairs, ("xx", "yy"))
    flags = ["-s", "xx", "-t", "yy", "--destdir", str(folder), "--workers", "1"]
    for split in pairs:
        flags += [f"--{split}pref", str(text / split)]
    if dictionary:
        flags += ["--srcdict", str(dictionary / "dict.xx.txt")]
        flags += ["--tgtdict", str(dictionary / "dict.yy.txt")]
    with mock.patch.object(sys, "argv", ["fairseq-preprocess", *flags]):
        preprocess.cli_main()
    return folder


def reverse_dictionaries(data: Path, folder: Path) -> Path:
    """Dictionaries with the entries of ``data``'s in another order."""
    folder.mkdir()
    for code in ("xx", "yy"):
        lines = (data / f"dict.{code}.txt").read_text().splitlines()
        (folder / f"dict.{code}.txt").write_text("".join(f"{line}\n" for line in reversed(lines)))
    return folder


def distillation(*flags: object) -> list[str]:
    """Flags of a run under our task."""
    return ["--user-dir", USER_DIR, "--task", "distillation", *map(str, flags)]


@dataclass
class Run:
    """What a training run printed: its statistics by tag, and all its lines."""

    lines: list[str]

    def stats(self, tag: str) -> list[dict[str, float]]:
        """Every JSON line that belongs to ``train_inner``, ``train`` or a valid subset."""
        found = []
        for line in self.lines:
            if line.startswith('{"'):
                values = {
                    key: float(value)
                    for key, value in json.loads(line).items()
                    if _is_number(value)
                }
                if tag == "train_inner" and "update" in values:
                    found.append(values)
                elif f"{tag}_loss" in values:
                    found.append({key.removeprefix(f"{tag}_"): v for key, v in values.items()})
        return found


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def fairseq_train(data: object, save_dir: object, *flags: object) -> Run:
    """``fairseq-train`` in this process, as a fresh process would run it."""
    for function, name in (
        (checkpoint_utils.save_checkpoint, "best"),
        (train.should_stop_early, "best"),
    ):
        if hasattr(function, name):
            delattr(function, name)
    handler = _Lines()
    logging.getLogger().addHandler(handler)
    arguments = [str(data), *SCHEDULE, "--save-dir", str(save_dir), *map(str, flags)]
    try:
        with mock.patch.object(sys, "argv", ["fairseq-train", *arguments]):
            train.cli_main()
    finally:
        logging.getLogger().removeHandler(handler)
    return Run(handler.lines)


def fairseq_validate(data: object, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """``fairseq-validate`` under our task, on the valid set, in this process."""
    arguments = [
        str(data), "--user-dir", USER_DIR, "--cpu", "--max-tokens", "60",
        "--path", str(checkpoint), "--valid-subset", "valid", "--task", "distillation",
        "--required-batch-size-multiple", "1", "--log-format", "json",
    ]  # fmt: skip
    capsys.readouterr()
    with mock.patch.object(sys, "argv", ["fairseq-validate", *arguments]):
        validate.cli_main()
    printed = capsys.readouterr().out.splitlines()
    return Run([line[line.find('{"') :] for line in printed])


def command(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an installed command in a process of its own."""
    program = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True)


@dataclass
class Setup:
    """What fairseq-train builds before its first update."""

    task: Any
    model: Any
    criterion: Any
    cfg: Any

    def batch(self, split: str = "train", rows: Iterable[int] = range(5)) -> Any:
        """Sentences as one batch; these have different lengths, so there is padding."""
        if split not in self.task.datasets:
            self.task.load_dataset(split)
        data = self.task.dataset(split)
        sample = data.collater([data[row] for row in rows])
        assert sample["target"].eq(self.task.target_dictionary.pad()).any(), "no padding"
        return sample

    def step(self, sample: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
        """Loss, sample size, log, and the gradient of every parameter of the student."""
        self.model.zero_grad()
        loss, size, log = self.criterion(self.model, sample)
        loss.backward()
        gradients = {
            n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None
        }
        return loss.detach(), size, log, gradients


class Optimizer:
    """Stands in for fairseq's: plain gradient descent, or a step that overflows."""

    def __init__(self, parameters: Iterable[Any] = (), lr: float = 0.0, overflows: bool = False):
        self.sgd = torch.optim.SGD([*parameters] or [torch.zeros(1)], lr=lr)
        self.overflows = overflows

    def backward(self, loss: Any) -> None:
        loss.backward()

    def step(self) -> None:
        if self.overflows:
            raise OverflowError
        self.sgd.step()
        self.sgd.zero_grad()


def update(
    setup: Setup, samples: Iterable[Any], number: int = 0, optimizer: Any = None, dummies: int = 0
) -> list[Any]:
    """What fairseq's trainer does in an update; the last ``dummies`` batches are an idle rank's."""
    setup.criterion.train()
    optimizer, samples = optimizer or Optimizer(), list(samples)
    losses = [
        setup.task.train_step(
            sample, setup.model, setup.criterion, optimizer, number,
            ignore_grad=i >= len(samples) - dummies,
        )[0].item()
        for i, sample in enumerate(samples)
    ]  # fmt: skip
    with contextlib.suppress(OverflowError):
        setup.task.optimizer_step(optimizer, setup.model, number)
    return losses


def build(data: object, *flags: object, seed: int = 1, double: bool = True) -> Setup:
    """Task, model and criterion from a command line; the model in float64."""
    arguments = [str(data), *SCHEDULE, *map(str, flags)]
    parser = options.get_training_parser()
    parsed = options.parse_args_and_arch(parser, input_args=arguments)
    cfg = convert_namespace_to_omegaconf(parsed)
    utils.set_torch_seed(seed)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    criterion = task.build_criterion(cfg.criterion)
    if double:
        model, criterion = model.double(), criterion.double()
    model.train()
    return Setup(task, model, criterion, cfg)


def load(path: object) -> Any:
    """A checkpoint, under safe loading."""
    return torch.load(str(path), weights_only=True)


def sha256(path: Path) -> str:
    """By the standard library alone."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
