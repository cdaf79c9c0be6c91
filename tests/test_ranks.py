"""Two processes on a CPU, each with its own batches."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from fairseq.data import data_utils
from fairseq.distributed.legacy_distributed_data_parallel import LegacyDistributedDataParallel
from fairseq_cli.train import cli_main
from torch.nn.parallel import DistributedDataParallel

from . import support
from .support import SCHEDULE, TINY, Run, build, distillation, fairseq_train

FORKS = multiprocessing.get_context("forkserver")  # of a process that has imported fairseq once
FORKS.set_forkserver_preload(["fairseq_cli.train"])
METRICS = ("loss", "nll_loss", "kd_loss", "agreement", "teacher_nll_loss", "ppl", "teacher_ppl")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def flags_of(method: str, teacher: Path, distilled: Path) -> list[Any]:
    command: list[Any] = ["--criterion", method, "--distilled-data", distilled]
    command += [*support.teacher_flags(method, teacher, distilled), *support.METHODS[method]]
    return [*TINY, *distillation(*command, "--label-smoothing", 0.1)]


def two_ranks(data: Path, folder: Path, *flags: object) -> Run:
    """``fairseq-train`` as two processes on this machine's CPU; what rank 0 printed."""
    codes, printed = end_of_two_ranks(data, folder, *flags)
    assert codes == [0, 0], "\n".join(printed)
    return Run([line[line.find('{"') :] for line in printed[0].splitlines()])


def end_of_two_ranks(
    data: Path, folder: Path, *flags: object
) -> tuple[list[int | None], list[str]]:
    """How both ended, and what each printed."""
    folder.mkdir(exist_ok=True)
    port, printed = free_port(), [folder / f"printed{rank}" for rank in range(2)]
    codes = in_processes(train, [
        (
            out, str(data), *SCHEDULE, *map(str, flags), "--save-dir", str(folder),
            "--distributed-world-size", "2", "--distributed-rank", str(rank),
            "--distributed-init-method", f"tcp://localhost:{port}",
            "--distributed-no-spawn", "--distributed-backend", "gloo",
            "--ddp-backend", "legacy_ddp",
        )
        for rank, out in enumerate(printed)
    ])  # fmt: skip
    return codes, [out.read_text() for out in printed]


def in_processes(target: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """Each call in a process of its own, side by side; their exit statuses."""
    processes = [FORKS.Process(target=target, args=arguments) for arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=240)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def train(out: Path, *arguments: str) -> None:
    """``fairseq-train`` in this process, which prints into a file."""
    with out.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["fairseq-train", *arguments]
    try:
        cli_main()
    except Exception:  # as the interpreter ends a program
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def number_of_batches(data: Path, *flags: object) -> int:
    """In the first epoch, with the default seed."""
    setup = build(data, *flags)
    setup.task.load_dataset("train")
    pairs = setup.task.dataset("train")
    with data_utils.numpy_seed(1 + 1):
        order = pairs.ordered_indices()
    return len(pairs.batch_by_size(order, max_tokens=setup.cfg.dataset.max_tokens))


@pytest.mark.parametrize("method", support.METHODS)
def test_two_ranks_are_one_rank_with_two_batches_an_update(
    method: str, data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    """An epoch of an odd number of batches, so that the last update leaves one rank idle."""
    flags = [*flags_of(method, teacher, distilled), "--max-epoch", 1, "--optimizer", "sgd"]
    assert number_of_batches(data, *flags) % 2 == 1
    one = fairseq_train(data, tmp_path / "one", *flags, "--update-freq", 2)
    two_ranks(data, tmp_path / "two", *flags, "--max-update", 3)
    two = two_ranks(data, tmp_path / "two", *flags)  # resumes
    states = [support.load(tmp_path / n / "checkpoint_last.pt")["model"] for n in ("one", "two")]
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-6)
    for tag in ("train_inner", "valid", "train"):
        ours, theirs = two.stats(tag), one.stats(tag)
        assert ours
        for our, their in zip(reversed(ours), reversed(theirs)):
            for key in {*METRICS} & their.keys():
                assert our[key] == pytest.approx(their[key], rel=2e-3, abs=2e-3), (tag, key)


def test_a_training_that_diverges_ends_in_one_line(data: Path, tmp_path: Path) -> None:
    flags = distillation("--criterion", "word_kd", "--kd-weight", 0, "--lr", 1e30)
    codes, printed = end_of_two_ranks(data, tmp_path, *TINY, *flags)
    assert 0 not in codes
    for told in printed:
        assert "the loss is nan at update 2: training has diverged" in told.splitlines()[-1]
        assert "Traceback" not in told


def gradients_of_a_rank(
    rank: int, port: int, wrapper: str, flags: list[str], data: str, out: str
) -> None:
    """One rank's share of a step under a wrapper for data parallelism; in float64."""
    os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    setup = build(data, *flags)
    if wrapper == "legacy":
        group = torch.distributed.group.WORLD
        wrapped = LegacyDistributedDataParallel(setup.model, process_group=group)
    else:
        unused = wrapper == "torch-unused"
        wrapped = DistributedDataParallel(setup.model, find_unused_parameters=unused)
    sample = setup.batch(rows=ROWS[rank])
    loss, _, _ = setup.criterion(wrapped, sample)
    loss.backward()
    if wrapper == "legacy":
        wrapped.all_reduce_grads()
    if rank == 0:
        torch.save({n: p.grad for n, p in setup.model.named_parameters()}, out)
    # Not by the interpreter's way out: on a busy machine gloo's threads can outlive what they use
    # and abort the process (seen twice in CI), after the gradients are there.
    os._exit(0)


ROWS = ([0, 5, 9], [3, 2, 8, 11])


@pytest.mark.parametrize(
    ("method", "wrapper"),
    [
        *itertools.product(("word_kd", "seq_kd"), ("legacy", "torch", "torch-unused")),
        ("tie_kd", "torch"),
        ("hybrid_kd", "torch"),
    ],
)
def test_gradients_under_data_parallelism(
    method: str, wrapper: str, data: Path, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    """The mean over two ranks is half the sum over both batches in one process."""
    flags = [str(flag) for flag in flags_of(method, teacher, distilled)]
    if method == "seq_kd":
        flags += ["--nll-weight", "0.5", "--kd-weight", "0.5"]  # two forwards, one backward
    out = tmp_path / "gradients.pt"
    port = free_port()
    assert in_processes(
        gradients_of_a_rank,
        [(rank, port, wrapper, flags, str(data), str(out)) for rank in range(2)],
    ) == [0, 0]
    ours = torch.load(out)
    setup = build(data, *flags)
    each = [setup.step(setup.batch(rows=rows))[3] for rows in ROWS]
    for name, gradient in ours.items():
        mean = (each[0][name] + each[1][name]) / 2
        scale = mean.abs().max().item()
        assert (gradient - mean).abs().max().item() <= 1e-12 * scale + 1e-14, name
