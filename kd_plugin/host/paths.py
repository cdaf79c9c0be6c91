"""Paths as the user meant them: relative to where the command was typed."""

from __future__ import annotations

from hydra.utils import to_absolute_path


def absolute(path: str) -> str:
    """``path`` made absolute; Hydra changes the working directory before a task is built."""
    return str(to_absolute_path(path))
