"""A command line that says in one line what it refuses, and which flag may have been meant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Of ``fairseq-kd`` and of each command, where it is ``command_parser`` of what is parsed."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        """As argparse; a flag that is not known is refused by the command itself."""
        given: argparse.Namespace
        given, unknown = self.parse_known_args(args, namespace)
        if unknown:
            own: Parser = getattr(given, "command_parser", self)
            own.error(f"unrecognized arguments: {' '.join(unknown)}{own.meant(unknown)}")
        return given

    def meant(self, unknown: Sequence[str]) -> str:
        """The flags that are spelled nearly so."""
        flags = [word.partition("=")[0] for word in unknown if word.startswith("--")]
        near = [get_close_matches(flag, self._option_string_actions, 1) for flag in flags]
        words = [word for found in near for word in found]
        return f" (did you mean {', '.join(words)}?)" if words else ""

    def error(self, message: str) -> NoReturn:
        """Without the usage of all flags, which ``--help`` has."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")
