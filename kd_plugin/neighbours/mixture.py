"""How kNN-MT mixes the neighbours' distribution with the model's: flags, and their rules."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..host.ranges import Range

TEMPERATURE = Range(0.000001, 1_000_000_000)  # of squared distances

# what --knnmt-NAME says, its default, and the numbers that it takes
FLAGS: dict[str, tuple[str, Any, Range | None]] = {
    "datastore": (
        "translate with the neighbours in this folder of fairseq-kd datastore (kNN-MT)", None, None,
    ),
    "k": ("neighbours of a step of kNN-MT", 8, Range(1, "the datastore's keys")),
    "lambda": ("the neighbours' share of the probability", 0.5, Range(0, 1)),
    "temperature": ("T of squared distances", 10.0, TEMPERATURE),
}  # fmt: skip


class Mixture(NamedTuple):
    """How the neighbours' distribution is mixed with the model's."""

    k: int
    weight: float  # lambda
    temperature: float
