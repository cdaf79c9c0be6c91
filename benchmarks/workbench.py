"""What is measured: fairseq's own trainer on random text, with the settings of a command line."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fairseq import options, tasks, utils
from fairseq.data import data_utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.trainer import Trainer
from fairseq_cli import preprocess

import kd_plugin
from kd_plugin.commands import cli

from .measuring import on_gpu

STOCK = ("--task", "translation", "--criterion", "label_smoothed_cross_entropy")
SEED = 1


@dataclass(frozen=True)
class Size:
    """A student; its teacher has the same size."""

    layers: int
    dim: int
    ffn: int
    heads: int
    vocabulary: int
    sentences: int = 2000
    max_tokens: int = 1024
    batches: int = 6  # steps in a repetition
    precision: tuple[str, ...] = ()  # flags

    def __str__(self) -> str:
        return (
            f"{self.layers}+{self.layers} x {self.dim}/{self.ffn}, V {self.vocabulary:,}"
            + "".join(f", {flag[2:]}" for flag in self.precision)
        )


LARGE = Size(3, 256, 1024, 4, 8000)  # the model of the published anchors
SMALL = Size(1, 64, 256, 4, 4000)  # one that studies on a CPU train
IWSLT = Size(  # fairseq's transformer_iwslt_de_en
    6, 512, 1024, 4, 10_000, sentences=2400, max_tokens=4096, precision=("--fp16",)
)
TINY = Size(1, 16, 16, 2, 60, sentences=60, max_tokens=200, batches=1)  # of --quick


class Workbench:
    """Data, a teacher and whatever is made of them, in a folder."""

    def __init__(self, folder: Path, size: Size):
        """Write data and an untrained teacher."""
        self.folder, self.size = folder, size
        self.place = () if on_gpu() else ("--cpu",)
        folder.mkdir()
        self.data = write_data(folder, size)
        self.teacher = self.data / "teacher.pt"
        save_teacher(self.trainer(*STOCK, exact=True), self.teacher)

    def trainer(self, *flags: str, exact: bool = False) -> Trainer:
        """fairseq's trainer of a command line; the same seed gives the same student.

        Where it is to be ``exact``, in float32 whatever the precision of the size.
        """
        size, model = self.size, []
        for side in ("encoder", "decoder"):
            model += [f"--{side}-layers", size.layers, f"--{side}-embed-dim", size.dim]
            model += [f"--{side}-ffn-embed-dim", size.ffn, f"--{side}-attention-heads", size.heads]
        command = [
            *(str(self.data), "--arch", "transformer", "--share-all-embeddings"),
            *("--dropout", "0.1", "--optimizer", "adam", "--lr", "1e-5", "--clip-norm", "1"),
            *("--label-smoothing", "0.1", "--max-tokens", str(size.max_tokens)),
            *("--user-dir", kd_plugin.__path__[0], "--save-dir", str(self.data)),
            *(() if exact else size.precision),
            *self.place,
            *map(str, model),
            *flags,
        ]
        parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=command)
        cfg = convert_namespace_to_omegaconf(parsed)
        utils.set_torch_seed(SEED)
        task = tasks.setup_task(cfg.task)
        model = task.build_model(cfg.model)
        return Trainer(cfg, task, model, task.build_criterion(cfg.criterion))

    def run(self, *command: object) -> None:
        """A command of ours, silently."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli.main([str(word) for word in command])

    def store(self, name: str, *flags: str) -> str:
        """A store of the teacher for the training set."""
        path = self.folder / name
        if not path.exists():
            self.run("cache", self.data, "--path", self.teacher, "--output", path, *self.place,
                     "--subset", "train", *flags)  # fmt: skip
        return str(path)

    def neighbours(self, k: int) -> str:
        """A store of nearest neighbours for the training set."""
        datastore, path = self.folder / "datastore", self.folder / "neighbours"
        if not path.exists():
            self.run(
                "datastore",
                self.data,
                "--path",
                self.teacher,
                "--output",
                datastore,
                *self.place,
                "--subset",
                "train",
            )
            self.run("neighbours", datastore, "--k", k, "--output", path, "--subset", "train")
        return str(path)


def write_data(folder: Path, size: Size) -> Path:
    """Random text with the sentence lengths of image captions: 12 words, give or take 4."""
    generator = random.Random(SEED)
    words = [f"w{i}" for i in range(size.vocabulary - 4)]
    (folder / "dict.txt").write_text("".join(f"{word} 1\n" for word in words))
    for code in ("de", "en"):
        sentences = (
            " ".join(generator.choices(words, k=max(3, round(generator.gauss(12, 4)))))
            for _ in range(size.sentences)
        )
        (folder / f"train.{code}").write_text("\n".join(sentences) + "\n")
    words = [
        *("-s", "de", "-t", "en", "--trainpref", str(folder / "train"), "--joined-dictionary"),
        *("--destdir", str(folder / "bin"), "--srcdict", str(folder / "dict.txt")),
    ]
    preprocess.main(options.get_preprocessing_parser().parse_args(words))
    return folder / "bin"


def save_teacher(trainer: Trainer, path: Path) -> None:
    """A checkpoint of other random weights."""
    for parameter in trainer.model.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    state = {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}, "val_loss": None}
    trainer.consolidate_optimizer()
    trainer.save_checkpoint(str(path), state)


def batches(trainer: Trainer, count: int) -> Sequence[Any]:
    """Batches of the middle lengths, as the trainer's task collates them."""
    trainer.task.load_dataset("train")
    data = trainer.task.dataset("train")
    with data_utils.numpy_seed(SEED):
        order = data.ordered_indices()
    rows = data.batch_by_size(order, max_tokens=trainer.cfg.dataset.max_tokens)
    middle = rows[(len(rows) - count) // 2 :][:count]
    return [data.collater([data[row] for row in batch]) for batch in middle]
