"""The YAML file of a data set: its keys, and what each may be; docs/own-corpus.md explains them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.keys import MAPPING, SIZE, TEXT, Rule, check_keys, is_size, read_mapping
from .layout import check_hashes


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return not value.startswith("/") and ".." not in value.split("/")


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_name, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1


def _is_one_key(value: Any, key: str, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and set(value) == {key} and fits(value[key])


STEM: Rule = (
    "the name of its files without the language, a list of names of which the first that exists "
    "counts, or {all: [NAME, ...]} for files one behind the other",
    lambda value: _is_name(value) or _is_names(value) or _is_one_key(value, "all", _is_names),
)
VALID: Rule = (
    f"{STEM[0]}, or {{every: N}} for each N-th pair of the training set",
    lambda value: STEM[1](value) or _is_one_key(value, "every", lambda n: is_size(n) and n > 1),
)
KEYS: dict[str, Rule] = {
    "languages": (
        'two different codes, such as [de, en]; in quotes where YAML reads another word ("no")',
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
    "subwords": MAPPING,
    "clean": MAPPING,
    "lowercase": ("true or false", lambda value: isinstance(value, bool)),
    "origlang": ("true or false", lambda value: isinstance(value, bool)),
    "where": TEXT,
    "sacrebleu": MAPPING,
    "download": TEXT,
    "sha256": MAPPING,
    "references": SIZE,
    "generator": ("toy", lambda value: value == "toy"),
    "toy": MAPPING,
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
    cfg = read_mapping(path, "a data set", "configs/data")
    check_keys(cfg, KEYS, NEEDED, str(path))
    for part, rules in PARTS.items():
        check_keys(cfg[part], rules, tuple(rules), f"{path}: {part}")
    if "generator" in cfg and "toy" not in cfg:
        raise InputError(f"{path}: generator toy needs the key toy; see configs/data/toy.yaml")
    check_hashes(cfg, str(path))
    return cfg
