"""What fairseq lacks on a current stack: torch >= 2.6, numpy >= 2, no compiled parts.

Everything here adds: classes to torch's list of safe ones, a module that an installation without a
compiler lacks, filters for warnings that a user can do nothing about, an end of the threads that
load ahead. No check is switched off.
"""

from __future__ import annotations

import argparse
import atexit
import collections
import contextlib
import importlib.machinery
import importlib.util
import os
import queue
import sys
import threading
import time
import types
import typing
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import omegaconf
import torch
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def prepare() -> None:
    """Make the host ready; called once, when the package is imported."""
    register_checkpoint_classes()
    filter_warnings()
    atexit.register(end_loading)
    if importlib.util.find_spec(FAST) is None or os.environ.get(PURE):
        provide_batching()


# Checkpoints under torch's safe loading


def register_checkpoint_classes() -> None:
    """Tell ``torch.load(weights_only=True)`` which classes a fairseq checkpoint holds."""
    torch.serialization.add_safe_globals(_checkpoint_classes())


def _checkpoint_classes() -> list[Any]:
    from fairseq.distributed.utils import _TensorPlaceholder
    from omegaconf.base import ContainerMetadata, Metadata
    from omegaconf.nodes import AnyNode

    multiarray = getattr(np, "_core", None) or np.core
    rebuild = multiarray.multiarray._reconstruct
    scalar = multiarray.multiarray.scalar
    number_types = (np.bool_, np.int32, np.int64, np.float16, np.float32, np.float64)
    return [
        argparse.Namespace,  # cfg["model"] of a run that was started from the command line
        # --eval-bleu leaves numpy values in the meters; numpy 1 and 2 name their module differently
        np.ndarray,
        np.dtype,
        *{type(np.dtype(number)) for number in number_types},
        *((rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        # a resume with several processes broadcasts the configuration as omegaconf's containers
        omegaconf.DictConfig,
        omegaconf.ListConfig,
        ContainerMetadata,
        Metadata,
        AnyNode,
        typing.Any,
        dict,
        list,
        int,
        collections.defaultdict,
        _TensorPlaceholder,
    ]


# Warnings


def filter_warnings() -> None:
    """Hide the warnings that fairseq's own calls cause; those that a user can act on stay."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"hydra\.")
    warnings.filterwarnings("ignore", category=FutureWarning, message=r".*torch\.cuda\.amp")
    for message in (
        r"\s*'config' is validated against ConfigStore schema",
        r"\s*The strict flag in the compose API is deprecated",
        r"Support for mismatched key_padding_mask and attn_mask",
        r"'pin_memory' argument is set as true but no accelerator",
    ):
        warnings.filterwarnings("ignore", message=message)


# The threads that load batches ahead

PATIENCE = 10.0  # seconds that the end of the process waits for a batch


def end_loading() -> None:
    """End fairseq's threads that load ahead, each with the batch that it is at.

    fairseq leaves them running. A thread that is inside torch when Python ends aborts the process:
    a training that is done, or an error of one line, ends in a core dump and status 134.
    """
    from fairseq.data.iterators import BackgroundConsumer

    until = time.monotonic() + PATIENCE
    for thread in threading.enumerate():
        if isinstance(thread, BackgroundConsumer):
            thread._max_len = 0
            while thread.is_alive() and time.monotonic() < until:
                with contextlib.suppress(queue.Empty):  # where it is full, the thread waits for us
                    thread._queue.get(timeout=0.1)


# Batching without fairseq's compiled parts

FAST = "fairseq.data.data_utils_fast"
PURE = "KD_PLUGIN_PURE_BATCHING"  # set: use ours even where the compiled one is there


def provide_batching() -> None:
    """Stand in for the one compiled module that translation needs."""
    import fairseq.data

    sys.modules[FAST] = fairseq.data.data_utils_fast = batching()


def batching() -> types.ModuleType:
    """What stands in for it."""
    module = types.ModuleType(FAST, "Batching in Python; see kd_plugin.host.mends.")
    module.__spec__ = importlib.machinery.ModuleSpec(FAST, None)
    vars(module).update(
        batch_by_size_vec=batch_by_size,
        batch_by_size_fn=_batch_by_size_fn,
        batch_fixed_shapes_fast=_batch_fixed_shapes,
    )
    return module


def batch_by_size(
    indices: Indices, sizes: Indices, max_tokens: int, max_sentences: int, multiple: int
) -> list[Indices]:
    """Cut ``indices`` into consecutive batches, exactly as fairseq's compiled function does.

    A batch grows while ``sentences * longest <= max_tokens`` and ``sentences <= max_sentences``
    (a limit <= 0 is none); its length is below ``multiple`` or divisible by it where that can be.

    Args:
        indices: sentence ids in the order of batching, [n].
        sizes: tokens of each of them, [n]; none above ``max_tokens``.
    """
    if len(indices) == 0:
        return []
    if 0 < max_tokens < int(np.max(sizes)):
        raise AssertionError(f"Sentences lengths should not exceed max_tokens={max_tokens}")

    cuts: list[int] = []
    start = end = 0  # the batch so far is start..end; behind it stands a tail it may not take yet
    longest = tail_longest = 0
    for position, size in enumerate(np.asarray(sizes).tolist()):
        tail_longest = max(tail_longest, size)
        count, widest = position + 1 - start, max(longest, tail_longest)
        if 0 < max_sentences < count or 0 < max_tokens < count * widest:
            cuts.append(end)
            start, widest = end, tail_longest
            if 0 < max_tokens < (position + 1 - start) * tail_longest:
                cuts.append(position)
                start, widest = position, size
        elif count >= multiple and count % multiple:
            continue
        end, longest, tail_longest = position + 1, widest, 0
    if end < len(indices):
        cuts.append(end)
    return np.split(indices, cuts)


def _batch_by_size_fn(
    indices: Indices,
    size: Callable[[int], int],
    max_tokens: int,
    max_sentences: int,
    multiple: int,
) -> list[Indices]:
    sizes = np.array([size(int(i)) for i in indices], dtype=np.int64)
    return batch_by_size(indices, sizes, max_tokens, max_sentences, multiple)


def _batch_fixed_shapes(*_: Any) -> None:
    raise ImportError(
        "--num-batch-buckets needs fairseq's compiled parts, which this installation lacks: "
        "install fairseq with a compiler, or leave the flag out"
    )
