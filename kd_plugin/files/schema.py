"""JSON that another process, a crash or a stranger left, checked before it is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError

COUNT = range(1 << 48)
SHA256 = re.compile("[0-9a-f]{64}")
FILE_NAME = re.compile(r"[^/\\\0]*[^/\\\0.][^/\\\0]*")  # of a file in the same folder
LARGEST = 1 << 24  # bytes of a file that is read whole

Shape = Any


def fault(value: Any, shape: Shape, where: str = "it") -> str | None:
    """What is wrong with ``value``, in a few words; None where it is of ``shape``.

    A shape is a type, a range of whole numbers, a set of strings, a pattern of a whole string, a
    tuple of shapes of which one must fit, a list of the one shape of any number of entries, or a
    dictionary of the shapes of entries that must be there; ``str`` as its key is any key.
    """
    if isinstance(shape, dict) and isinstance(value, dict):
        inner = shape if str not in shape else dict.fromkeys(value, shape[str])
        missing = next((f"{where} has no {name}" for name in inner if name not in value), None)
        faults = (fault(value[name], inner[name], f"{where}.{name}") for name in inner)
        return missing or next(filter(None, faults), None)
    if isinstance(shape, list) and isinstance(value, list):
        if isinstance(shape[0], range) and value and {*map(type, value)} == {int}:
            value = [min(value), max(value)]  # as good as all, where the range's step is 1
        faults = (fault(part, shape[0], f"an entry of {where}") for part in value)
        return next(filter(None, faults), None)
    if isinstance(shape, tuple):
        fits = any(fault(value, one) is None for one in shape)
    elif isinstance(shape, range):
        fits = type(value) is int and value in shape
    elif isinstance(shape, (set, frozenset)):
        fits = isinstance(value, str) and value in shape
    elif isinstance(shape, re.Pattern):
        fits = isinstance(value, str) and shape.fullmatch(value) is not None
    else:
        fits = type(value) is (type(None) if shape is None else shape)
    return None if fits else f"{where} is {repr(value)[:60]}"


def checker(shape: Shape) -> Callable[[Any], bool]:
    """Whether a value is of a shape, for many values: :func:`fault` says what is wrong."""
    if isinstance(shape, dict) and str not in shape:
        entries = [(name, checker(inner)) for name, inner in shape.items()]

        def of_entries(value: Any) -> bool:
            if not isinstance(value, dict):
                return False
            for name, fits in entries:  # noqa: SIM110 (a generator takes longer)
                if name not in value or not fits(value[name]):
                    return False
            return True

        return of_entries
    if isinstance(shape, list) and isinstance(shape[0], range):
        allowed = shape[0]

        def of_numbers(value: Any) -> bool:
            if not isinstance(value, list) or (value and {*map(type, value)} != {int}):
                return False
            return not value or (min(value) in allowed and max(value) in allowed)

        return of_numbers
    if isinstance(shape, list):
        inner = checker(shape[0])
        return lambda value: isinstance(value, list) and all(map(inner, value))
    if isinstance(shape, type):
        return lambda value: type(value) is shape
    return lambda value: fault(value, shape) is None


def parse(text: str | bytes, shape: Shape) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, or not of ``shape``.
    """
    value = loads(text)
    wrong = fault(value, shape)
    if wrong:
        raise ValueError(wrong)
    return value


def loads(text: str | bytes) -> Any:
    """The value of a JSON text, of any shape.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None


def read_json(path: Path, shape: Shape, way_out: str) -> Any:
    """The value of a small JSON file.

    Raises:
        InputError: it cannot be read, or is not of ``shape``; ``way_out`` ends the message.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
        return parse(content, shape)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {way_out}") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); {way_out}") from None
