"""A whole training step with a teacher in memory against a step of stock fairseq.

The teacher has the student's size. Both are run by fairseq's own trainer on the same batches,
interleaved, on one thread pinned to one core. The floor is what the floating-point operations
allow, since a backward pass costs two forward passes: ``1 + F_T / (3 F_S)`` for word_kd; for tie_kd
each encoder runs once and each decoder N times.

usage: python -m benchmarks.step [--criterion tie_kd] [--layers 3 --dim 256 ...]
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.trainer import Trainer
from fairseq_cli import preprocess
from torch.utils.flop_counter import FlopCounterMode

import kd_plugin

STOCK = ["--task", "translation", "--criterion", "label_smoothed_cross_entropy"]


def arguments() -> argparse.Namespace:
    """The model and the batches; the defaults are those of the anchor in docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.step")
    parser.add_argument("--criterion", choices=["word_kd", "tie_kd"], default="word_kd")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--ffn", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=6, help="steps in a repetition")
    parser.add_argument("--repetitions", type=int, default=7)
    return parser.parse_args()


def write_data(folder: Path, vocabulary: int) -> Path:
    """Random text with the sentence lengths of image captions: 12 words, give or take 4."""
    generator = random.Random(1)
    words = [f"w{i}" for i in range(vocabulary - 4)]
    (folder / "dict.txt").write_text("".join(f"{word} 1\n" for word in words))
    for code in ("de", "en"):
        sentences = (
            " ".join(generator.choices(words, k=max(3, round(generator.gauss(12, 4)))))
            for _ in range(2000)
        )
        (folder / f"train.{code}").write_text("\n".join(sentences) + "\n")
    sys.argv = [
        *("fairseq-preprocess", "-s", "de", "-t", "en", "--trainpref", str(folder / "train")),
        *("--destdir", str(folder / "bin"), "--joined-dictionary"),
        *("--srcdict", str(folder / "dict.txt")),
    ]
    preprocess.cli_main()
    return folder / "bin"


def build(data: Path, given: argparse.Namespace, *flags: str) -> Trainer:
    """fairseq's trainer for a command line; the same seed gives the same student."""
    size = []
    for side in ("encoder", "decoder"):
        size += [f"--{side}-layers", given.layers, f"--{side}-embed-dim", given.dim]
        size += [f"--{side}-ffn-embed-dim", given.ffn, f"--{side}-attention-heads", given.heads]
    command = [
        *(str(data), "--arch", "transformer", "--share-all-embeddings", "--dropout", "0.1"),
        *("--optimizer", "adam", "--lr", "1e-5", "--clip-norm", "1", "--label-smoothing", "0.1"),
        *("--max-tokens", str(given.max_tokens), "--cpu", "--user-dir", kd_plugin.__path__[0]),
        *("--save-dir", str(data), *map(str, size), *flags),
    ]
    parsed = options.parse_args_and_arch(options.get_training_parser(), input_args=command)
    cfg = convert_namespace_to_omegaconf(parsed)
    utils.set_torch_seed(1)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    return Trainer(cfg, task, model, task.build_criterion(cfg.criterion))


def save_teacher(trainer: Trainer, path: Path) -> None:
    """A checkpoint of other random weights."""
    for parameter in trainer.model.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    state = {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}, "val_loss": None}
    trainer.consolidate_optimizer()
    trainer.save_checkpoint(str(path), state)


def prepare(folder: Path, given: argparse.Namespace) -> Path:
    """Data with a teacher beside it, ``teacher.pt``."""
    data = write_data(folder, given.vocabulary)
    save_teacher(build(data, given, *STOCK), data / "teacher.pt")
    return data


def batches(trainer: Trainer, count: int) -> list[Any]:
    """Batches of the middle lengths."""
    trainer.task.load_dataset("train")
    data = trainer.task.dataset("train")
    rows = data.batch_by_size(data.ordered_indices(), max_tokens=trainer.cfg.dataset.max_tokens)
    middle = rows[(len(rows) - count) // 2 :][:count]
    return [data.collater([data[row] for row in batch]) for batch in middle]


def require_equal_outputs(stock: Trainer, ours: Trainer, sample: Any) -> None:
    """Before a time is quoted: our loss is the stock loss plus the term, both recomputed."""
    model = ours.model.eval()
    loss, _, log = ours.criterion(model, sample)
    gold = stock.criterion(stock.model.eval(), sample)[0]
    cfg = ours.criterion.cfg
    k, iterations = getattr(cfg, "tie_top_k", 0), getattr(cfg, "tie_iterations", 1)
    term = plain_term(ours, model, sample, k, iterations)
    torch.testing.assert_close(log["kd_loss"], term, rtol=1e-4, atol=0)
    torch.testing.assert_close(loss.detach(), 0.5 * gold + 0.5 * term, rtol=1e-4, atol=0)


@torch.no_grad()
def plain_term(ours: Trainer, model: Any, sample: Any, k: int, iterations: int) -> torch.Tensor:
    """Divergence and ranking on the given prefix and then the student's own, by plain torch."""
    (teacher,) = ours.criterion.teacher.models
    net_input, total = dict(sample["net_input"]), torch.tensor(0.0)
    real = sample["target"].ne(ours.task.target_dictionary.pad())
    for _ in range(iterations):
        log_p, log_q = (m(**net_input)[0].log_softmax(-1)[real] for m in (model, teacher))
        p, q = log_p.exp(), log_q.exp()
        total += (q * (log_q - log_p)).sum()
        if k:
            a, b = q.topk(k).indices, p.topk(k).indices
            p_a, p_b, q_a, q_b = p.gather(1, a), p.gather(1, b), q.gather(1, a), q.gather(1, b)
            wrong = (p_b[:, None] - p_a[:, :, None]).relu() * (q_a[:, :, None] > q_b[:, None])
            total += (p_a - p_a[:, :1]).relu().sum() + wrong.sum()
        prefix = net_input["prev_output_tokens"].clone()
        best = torch.zeros_like(prefix).masked_scatter(real, log_p.argmax(-1))
        follows = real[:, 1:] & real[:, :-1]
        prefix[:, 1:] = best[:, :-1].where(follows, prefix[:, 1:])
        net_input["prev_output_tokens"] = prefix
    return total / iterations


def flops(model: Any, samples: list[Any]) -> tuple[int, int]:
    """Operations of the encoder's and of the decoder's forward pass."""
    encoder = whole = 0
    for sample in samples:
        inputs = sample["net_input"]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.train()(**inputs)
        whole += counter.get_total_flops()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.encoder(inputs["src_tokens"], inputs["src_lengths"])
        encoder += counter.get_total_flops()
    return encoder, whole - encoder


def measure(trainer: Trainer, samples: list[Any]) -> float:
    """Seconds for one step on each batch."""
    begin = time.perf_counter()
    for sample in samples:
        trainer.train_step([sample])
    return time.perf_counter() - begin


def main() -> None:
    """Print the ratio, its range and the floor as lines of Markdown."""
    given = arguments()
    pin()
    with tempfile.TemporaryDirectory() as temporary:
        data = prepare(Path(temporary), given)
        stock = build(data, given, *STOCK)
        method = ["--task", "distillation", "--criterion", given.criterion]
        weights = ["--nll-weight", "0.5", "--kd-weight", "0.5"]
        path = ["--teacher-path", str(data / "teacher.pt")]
        ours = build(data, given, *method, *weights, *path)
        samples = batches(ours, given.batches)
        require_equal_outputs(stock, ours, samples[0])
        (member,) = ours.criterion.teacher.models
        student, teacher = flops(ours.model, samples), flops(member, samples)
        member.eval()
        iterations = getattr(ours.criterion.cfg, "tie_iterations", 1)
        floor = (
            3 * (student[0] + iterations * student[1]) + teacher[0] + iterations * teacher[1]
        ) / (3 * sum(student))
        for trainer in (stock, ours):
            measure(trainer, samples)  # warm up
        times = [
            (measure(stock, samples), measure(ours, samples)) for _ in range(given.repetitions)
        ]
    ratios = [b / a for a, b in times]
    ratio = statistics.median(ratios)
    tokens = sum(sample["ntokens"] for sample in samples)
    names = "criterion machine model batches plain with-teacher ratio-(range) floor of-it".split()
    print("| " + " | ".join(name.replace("-", " ") for name in names) + " |")
    print("|---" * len(names) + "|")
    print(
        f"| `{given.criterion}` | {machine()}, one thread, torch {torch.__version__} "
        f"| {given.layers}+{given.layers} x {given.dim}/{given.ffn}, V {given.vocabulary} "
        f"| {len(samples)}, {tokens} tokens; {given.repetitions} repetitions "
        f"| {statistics.median(a for a, _ in times) / len(samples):.3f} s "
        f"| {statistics.median(b for _, b in times) / len(samples):.3f} s "
        f"| {ratio:.3f} ({min(ratios):.3f}-{max(ratios):.3f}) | {floor:.3f} | {ratio / floor:.3f} |"
    )


def pin() -> None:
    """Stay on one core, with one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def machine() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if "model name" in x] if info.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor()


if __name__ == "__main__":
    main()
