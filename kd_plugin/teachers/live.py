"""Teachers in memory: frozen fairseq models that read the student's batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fairseq.models import FairseqEncoderDecoderModel
from fairseq.utils import resolve_max_positions
from torch import Tensor

from ..errors import InputError
from ..host.device import a_parameter
from ..host.probabilities import at_least_float32, log_probabilities, log_softmax
from ..host.projection import projects_features
from .targets import WholeBelief


class LiveTeacher:
    """One or several frozen models; several are averaged in probability space.

    An ensemble is one teacher whose logits are the logarithm of its members' mean probability, so
    that a temperature applies to the mean. The models belong to nobody's module tree: they are not
    optimised, not saved and not wrapped for data parallelism.
    """

    def __init__(self, models: Sequence[Any], files: Sequence[str] = ()):
        """Freeze fairseq ``models``; ``files`` are the sha256 of their checkpoints."""
        self.models = [model.eval().requires_grad_(False) for model in models]
        self.files = list(files)

    @property
    def identity(self) -> str:
        """What the run's signature says of the teacher."""
        return "live." + "+".join(digest[:8] for digest in self.files)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self._like.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """In which precision it computes."""
        dtype: torch.dtype = self._like.dtype
        return dtype

    @property
    def _like(self) -> Any:
        return a_parameter(self.models[0])

    def max_positions(self) -> tuple[float, float]:
        """The longest source and target, in tokens, that every member reads."""
        source, target = resolve_max_positions(*(model.max_positions() for model in self.models))
        return source, target

    def follow(self, student: torch.nn.Module) -> None:
        """Move to the student's device and precision."""
        like = a_parameter(student)
        self.to(like.device, like.dtype)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move where they are not yet."""
        for model in self.models:
            own = a_parameter(model)
            if (own.device, own.dtype) != (device, dtype):
                model.to(device=device, dtype=dtype)

    def targets(self, net_input: Mapping[str, Any], real: Tensor) -> LiveTargets:
        """Read a batch; ``real`` [B, T] is True at the target tokens that are no padding."""
        return self.targets_of(net_input, [net_input["prev_output_tokens"]], real)[0]

    @torch.no_grad()
    def targets_of(
        self, net_input: Mapping[str, Any], prefixes: Sequence[Tensor], real: Tensor
    ) -> list[LiveTargets]:
        """Read a batch with several target prefixes [B, T]; the source is encoded once."""
        members = [_run(model.eval(), net_input, prefixes, real) for model in self.models]
        return [LiveTargets(of_prefix) for of_prefix in zip(*members)]


@dataclass(frozen=True)
class LiveTargets:
    """What the members computed for the N real tokens; a belief is made slice by slice."""

    members: Sequence[Member]

    def __len__(self) -> int:
        return len(self.members[0].values)

    @torch.no_grad()
    def rows(self, start: int, stop: int, logits: bool = False) -> WholeBelief:
        if logits:
            z = self.members[0].logits(start, stop)
            return WholeBelief.of(log_softmax(z), z)
        log_q = [member.log_q(start, stop) for member in self.members]  # M of [n, V]
        if len(log_q) == 1:
            return WholeBelief.of(log_q[0])
        return WholeBelief.of(torch.stack(log_q).logsumexp(0) - math.log(len(log_q)))

    @torch.no_grad()
    def scores(self, start: int, stop: int) -> Tensor:
        """Log-probabilities [n, V] but for a constant of each row, which is not worth computing."""
        only = self.members[0]
        if len(self.members) == 1 and only.output_layer is not None:
            return only.logits(start, stop)
        return self.rows(start, stop).log_q


@dataclass(frozen=True)
class Member:
    """Decoder features [N, D] and the layer that projects them, or log-probabilities [N, V]."""

    values: Tensor
    output_layer: Any = None

    def log_q(self, start: int, stop: int) -> Tensor:
        if self.output_layer is None:
            return self.values[start:stop]
        return log_softmax(self.output_layer(self.values[start:stop]))

    def logits(self, start: int, stop: int) -> Tensor:
        if self.output_layer is None:
            raise InputError(
                "the teacher has no logits (its probabilities are no plain softmax of a "
                "Transformer); distil its log-probabilities instead (--anneal-logits centred)"
            )
        return at_least_float32(self.output_layer(self.values[start:stop]))


def _run(
    model: Any, net_input: Mapping[str, Any], prefixes: Sequence[Tensor], real: Tensor
) -> list[Member]:
    projects = projects_features(model)
    options = {"features_only": True} if projects else {}
    found = []
    for net_output in _decode(model, net_input, prefixes, options):
        if projects:  # [B, T, D]
            found.append(Member(net_output[0][real], model.decoder.output_layer))
        else:
            found.append(Member(log_probabilities(model, net_output, real)))
    return found


def _decode(
    model: Any, net_input: Mapping[str, Any], prefixes: Sequence[Tensor], options: dict[str, Any]
) -> Iterator[Any]:
    if len(prefixes) == 1 or not isinstance(model, FairseqEncoderDecoderModel):
        for prefix in prefixes:
            yield model(**{**net_input, "prev_output_tokens": prefix}, **options)
        return
    lengths = net_input["src_lengths"]
    encoder_out = model.encoder(net_input["src_tokens"], src_lengths=lengths)
    for prefix in prefixes:
        yield model.decoder(prefix, encoder_out=encoder_out, src_lengths=lengths, **options)
