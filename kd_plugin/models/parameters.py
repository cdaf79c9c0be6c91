"""How many parameters a model has, and which of its layers are gated.

A model is a checkpoint, or a file of fairseq's flags such as those in configs/models. Embeddings
are counted apart: tokens, learned positions and the output matrix; what is shared is counted once.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fairseq import models, options
from fairseq.data import Dictionary
from torch import nn

from ..errors import InputError
from ..host.configuration import is_harmless
from ..teachers.checkpoints import build_model, read_checkpoint
from .gating import GatedLinear


@dataclass(frozen=True)
class Count:
    """Parameters of a model; what is shared is counted once."""

    embeddings: int
    others: int

    @property
    def total(self) -> int:
        return self.embeddings + self.others


def count_parameters(model: nn.Module) -> Count:
    """Count embeddings (tokens, learned positions, the output matrix) apart from all others."""
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    decoder = getattr(model, "decoder", None)
    outputs = [getattr(decoder, name, None) for name in ("output_projection", "fc_out")]
    matrices = {id(module.weight) for module in (*tables, *outputs) if module is not None}
    sizes = {id(weight): weight.numel() for weight in model.parameters()}
    embeddings = sum(size for key, size in sizes.items() if key in matrices)
    return Count(embeddings, sum(sizes.values()) - embeddings)


def gated_layers(model: nn.Module) -> Iterator[tuple[str, GatedLinear]]:
    """The gated feed-forwards, each by the name of its layer."""
    for name, module in model.named_modules():
        if isinstance(module, GatedLinear):
            yield name.rpartition(".")[0], module


def of_checkpoint(path: Path) -> Any:
    """The model of a checkpoint; no data and no dictionary is read.

    Raises:
        InputError: the file cannot be read, or its architecture cannot be built.
    """
    state = read_checkpoint(str(path), str(path))
    sides = [state["model"].get(f"{side}.embed_tokens.weight") for side in ("encoder", "decoder")]
    if any(side is None for side in sides):
        raise InputError(f"{path} is no encoder-decoder with two vocabularies; name another model")
    task = task_of_sizes(*map(len, sides))
    return build_model(state["cfg"], state["model"], task, str(path))


def of_flags(path: Path, vocabulary: int) -> Any:
    """The untrained model of a file of fairseq's flags, one or more a line, comments after #.

    Raises:
        InputError: there is no such file, or fairseq cannot build that model.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; name a file of flags or a checkpoint")
    said = io.StringIO()
    try:
        flags = shlex.split(path.read_text("utf-8"), comments=True)
        code = next((flag for flag in flags if not is_harmless(flag.partition("=")[2] or flag)), "")
        if code or "--user-dir" in [flag.partition("=")[0] for flag in flags]:
            raise ValueError(f"{code or '--user-dir'} would run code")
        command = ["data", "--criterion", "label_smoothed_cross_entropy", *flags]
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            args = options.parse_args_and_arch(options.get_training_parser(), command)
        return models.build_model(args, task_of_sizes(vocabulary, vocabulary))
    except SystemExit:
        last = said.getvalue().splitlines()[-1]
        reason = last.partition("error: ")[2] or "it asks for help"
    except Exception as error:  # whatever a builder of fairseq makes of odd values
        reason = " ".join(str(error).split())[:300] or type(error).__name__
    raise InputError(f"{path} is no model of fairseq's: {reason}")


def task_of_sizes(source: int, target: int) -> Any:
    """As much of a task as building a model takes: two dictionaries, equal where sizes are."""
    return SimpleNamespace(
        source_dictionary=_dictionary(source), target_dictionary=_dictionary(target)
    )


def _dictionary(size: int) -> Dictionary:
    words = Dictionary()
    for i in range(size - len(words)):
        words.add_symbol(f"token{i}")
    return words
