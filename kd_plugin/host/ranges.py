"""Which numbers a flag takes: said once, beside the flag, and checked and printed from there.

A field of a fairseq configuration has its :class:`Range` as ``"range"`` in its metadata.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from types import MappingProxyType
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class Range:
    """Numbers from ``least`` to ``most``, both included unless ``below``: then ``most`` is not.

    ``most`` is text where only a run knows the number. No range has an infinity or a NaN.
    """

    least: float
    most: float | str
    below: bool = False

    def holds(self, value: float, most: float) -> bool:
        """Whether a flag may be ``value``, with the number that ``most`` stands for."""
        within = value < most if self.below else value <= most
        return self.least <= value < math.inf and within

    def __str__(self) -> str:
        return self.text({})

    def text(self, known: Mapping[str, float]) -> str:
        """As a person reads it; ``known`` has the numbers of what only a run knows."""
        most = number(self.most)
        if self.most in known:
            most = f"{number(known[str(self.most)])}, {self.most}"
        return f"{number(self.least)} to {'below ' if self.below else ''}{most}"


def number(value: float | str) -> str:
    """0.0001 and 1,000,000 rather than 1e-04 and 1e+06."""
    if isinstance(value, str):
        return value
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def check_ranges(declared: Any, given: Any, known: Mapping[str, float] | None = None) -> None:
    """Refuse what is out of its flag's range.

    Args:
        declared: the dataclass of the flags.
        given: their values; None is a flag that is not given.
        known: the numbers of what only a run knows, such as ``{"the vocabulary": 7000}``.

    Raises:
        InputError: flag, value, range and default.
    """
    for field in fields(declared):
        allowed = field.metadata.get("range")
        if allowed is not None:
            value = getattr(given, field.name)
            require(flag_of(field), value, allowed, field.default, known or {})


def require(
    flag: str,
    value: Any,
    allowed: Range | None,
    default: Any = None,
    known: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Refuse a ``value`` that is not ``allowed``; see :func:`check_ranges`.

    Raises:
        InputError: flag, value, range and default.
    """
    if allowed is None or value is None:
        return
    most = allowed.most
    if isinstance(most, str):
        most = known.get(most, math.inf)  # what is not known here is checked where it is
    if not allowed.holds(value, most):
        usual = "" if default is None else f" (default {number(default)})"
        raise InputError(f"{flag} {value} is out of range; give {allowed.text(known)}{usual}")


def flag_of(field: Field[Any]) -> str:
    """The name that a user types."""
    return spelled(field.name)


def spelled(name: str) -> str:
    """The flag that sets ``name``."""
    return f"--{name.replace('_', '-')}"
