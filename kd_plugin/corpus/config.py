"""The YAML file of a data set: its keys, and what each may be; docs/own-corpus.md explains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError

Rule = tuple[str, Callable[[Any], bool]]  # what a value must be, in words and as a test


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return not value.startswith("/") and ".." not in value.split("/")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_name, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1


TEXT: Rule = ("a text", lambda value: isinstance(value, str))
SIZE: Rule = ("a whole number from 1", _is_size)


def _is_one_key(value: Any, key: str, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and set(value) == {key} and fits(value[key])


STEM: Rule = (
    "the name of its files without the language, a list of names of which the first that exists "
    "counts, or {all: [NAME, ...]} for files one behind the other",
    lambda value: _is_name(value) or _is_names(value) or _is_one_key(value, "all", _is_names),
)
VALID: Rule = (
    f"{STEM[0]}, or {{every: N}} for each N-th pair of the training set",
    lambda value: STEM[1](value) or _is_one_key(value, "every", lambda n: _is_size(n) and n > 1),
)
KEYS: dict[str, Rule] = {
    "languages": (
        "two different codes, such as [de, en]",
        lambda value: (
            _is_names(value)
            and len(set(value)) == len(value) == 2
            and not any("/" in code for code in value)
        ),
    ),
    "train": STEM,
    "valid": VALID,
    "tests": (
        "a list of such names, one for each test set",
        lambda value: isinstance(value, list) and bool(value) and all(map(STEM[1], value)),
    ),
    "subwords": ("a mapping", lambda value: isinstance(value, dict)),
    "clean": ("a mapping", lambda value: isinstance(value, dict)),
    "lowercase": ("true or false", lambda value: isinstance(value, bool)),
    "where": TEXT,
    "sacrebleu": ("a mapping", lambda value: isinstance(value, dict)),
    "download": TEXT,
    "sha256": ("a mapping", lambda value: isinstance(value, dict)),
    "references": SIZE,
    "generator": ("toy", lambda value: value == "toy"),
    "toy": ("a mapping", lambda value: isinstance(value, dict)),
}
PARTS: dict[str, dict[str, Rule]] = {
    "subwords": {
        "type": ("bpe or unigram", lambda value: value in ("bpe", "unigram")),
        "joint": ("true or false", lambda value: isinstance(value, bool)),
        "size": SIZE,
    },
    "clean": {"max_words": SIZE, "max_ratio": ("a number from 1", _is_number)},
}
NEEDED = ("languages", "train", "valid", "tests", "subwords", "clean")


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a data set, checked.

    Raises:
        InputError: it is no YAML, a key is missing or unknown, or a value is not what it must be.
    """
    try:
        cfg = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a data set") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no YAML ({reason}); see configs/data for examples") from None
    if not isinstance(cfg, dict):
        raise InputError(f"{path} is empty or no mapping; see configs/data for examples")
    _check(cfg, KEYS, NEEDED, str(path))
    for part, rules in PARTS.items():
        _check(cfg[part], rules, tuple(rules), f"{path}: {part}")
    if "generator" in cfg and "toy" not in cfg:
        raise InputError(f"{path}: generator toy needs the key toy; see configs/data/toy.yaml")
    return cfg


def _check(cfg: Mapping[str, Any], rules: Mapping[str, Rule], needed: Any, where: str) -> None:
    for key in cfg:
        if key not in rules:
            raise InputError(f"{where} has the unknown key {key!r}; give {', '.join(rules)}")
    for key in needed:
        if key not in cfg:
            raise InputError(f"{where} lacks the key {key!r}, which must be {rules[key][0]}")
    for key, value in cfg.items():
        words, fits = rules[key]
        if not fits(value):
            raise InputError(f"{where} has {key} {value!r}, which must be {words}")
