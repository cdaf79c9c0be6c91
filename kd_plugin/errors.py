"""Errors that a person at a prompt can act on, shown as one line."""

from __future__ import annotations

import os
import sys
from types import TracebackType


class InputError(ValueError):
    """Bad input; the message names the flag, the value, the rule and the way out."""

    def __str__(self) -> str:
        """The message alone, though a loader's worker wraps it in its own traceback."""
        text = super().__str__()
        return text.rpartition(f"{__name__}.{type(self).__name__}: ")[2].strip()


class MissingHostError(ModuleNotFoundError):
    """fairseq is not installed; the message says what to type."""


def show_on_one_line() -> None:
    """Print our own errors without a traceback; every other error stays as it is."""
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, (InputError, MissingHostError)):
            print(f"{os.path.basename(sys.argv[0])}: error: {error}", file=sys.stderr)
        else:
            previous(kind, error, trace)

    sys.excepthook = hook
