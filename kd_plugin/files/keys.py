"""YAML that a person wrote: its keys, and what each may be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError

Rule = tuple[str, Callable[[Any], bool]]  # what a value must be, in words and as a test


def is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def one_of(*words: str) -> Rule:
    """One of some words."""
    return f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words


TEXT: Rule = ("a text", lambda value: isinstance(value, str))
SIZE: Rule = ("a whole number from 1", is_size)
MAPPING: Rule = ("a mapping", lambda value: isinstance(value, dict))


def read_mapping(path: Path, what: str, examples: str) -> dict[str, Any]:
    """The mapping of a YAML file.

    Args:
        path: of the file.
        what: it is, to name in an error.
        examples: a folder of such files.

    Raises:
        InputError: it cannot be read, is no YAML, or no mapping.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name {what}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no YAML ({reason}); see {examples} for examples") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} is empty or no mapping; see {examples} for examples")
    return found


def check_keys(
    given: Mapping[str, Any], rules: Mapping[str, Rule], needed: Collection[str], where: str
) -> None:
    """Refuse a key that is unknown or missing, and a value that is not what its rule says.

    Raises:
        InputError: which names ``where``, the key, the value and what is allowed.
    """
    for key in given:
        if key not in rules:
            raise InputError(f"{where} has the unknown key {key!r}; give {', '.join(rules)}")
    for key in needed:
        if key not in given:
            raise InputError(f"{where} lacks the key {key!r}, which must be {rules[key][0]}")
    for key, value in given.items():
        words, fits = rules[key]
        if not fits(value):
            raise InputError(f"{where} has {key} {value!r}, which must be {words}")
