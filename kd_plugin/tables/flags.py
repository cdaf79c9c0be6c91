"""Flags in a table's YAML, each with where its value comes from.

``--beam: 5`` takes the source of the block that it stands in; ``--beam: [5, section 4.1]`` has its
own. ``true`` is a flag without a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InputError

Flags = dict[str, tuple[str | None, str]]  # value as a word (None: no value), source


def read_flags(given: Mapping[str, Any], source: str, where: str) -> Flags:
    """Check a mapping of flags.

    Raises:
        InputError: a name is no flag, or a value is no word, number or ``true``.
    """
    return {name: _setting(name, value, source, where) for name, value in given.items()}


def _setting(name: Any, value: Any, source: str, where: str) -> tuple[str | None, str]:
    if not isinstance(name, str) or not name.startswith("--"):
        raise InputError(f"{where} has the flag {name!r}, which must begin with --, as --beam")
    if isinstance(value, list):
        if len(value) != 2 or not isinstance(value[1], str) or isinstance(value[0], list):
            raise InputError(
                f"{where} has {name} {json.dumps(value)}, which must be a value, or [value, where "
                "it comes from]"
            )
        value, source = value
    if value is True:
        return None, source
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value == "":
        raise InputError(
            f"{where} has {name} {json.dumps(value)}, which must be a word, a number, or true for "
            "a flag without a value"
        )
    return str(value), source


def words(*groups: Flags) -> Iterator[str]:
    """The words of a command line; of a flag in several groups the last, in its first place."""
    merged: Flags = {}
    for group in groups:
        merged |= group
    for name, (value, _) in merged.items():
        yield name
        if value is not None:
            yield value
