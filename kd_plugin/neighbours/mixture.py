"""How kNN-MT mixes the neighbours' distribution with the model's: flags, and their rules."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..errors import InputError

# what --knnmt-NAME says, and its default
FLAGS: dict[str, tuple[str, Any]] = {
    "datastore": (
        "translate with the neighbours in this folder of fairseq-kd datastore (kNN-MT)", None,
    ),
    "k": ("neighbours of a step of kNN-MT", 8),
    "lambda": ("the neighbours' share of the probability", 0.5),
    "temperature": ("T of squared distances", 10.0),
}  # fmt: skip


class Mixture(NamedTuple):
    """How the neighbours' distribution is mixed with the model's."""

    k: int
    weight: float  # lambda
    temperature: float

    def check(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            InputError: the flag, its value and the rule.
        """
        if self.k < 1:
            raise InputError(f"--knnmt-k {self.k} is too small; give at least 1")
        if not 0 <= self.weight <= 1:
            raise InputError(f"--knnmt-lambda {self.weight} is no share; give 0 to 1")
        if not 0 < self.temperature < math.inf:
            raise InputError(
                f"--knnmt-temperature {self.temperature} is none; give a number above 0, such as 10"
            )
