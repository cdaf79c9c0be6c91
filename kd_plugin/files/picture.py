"""Pictures: matplotlib where it is installed, and a PNG that is the same for the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from .output import new_file


def new_figure(path: Path, width: float, height: float) -> Any:
    """A figure of so many inches; ``path`` is what ``--plot`` says.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InputError(
            f"--plot {path} needs matplotlib; type: pip install 'kd-plugin[plot]'"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write it; a picture that is there is replaced.

    Raises:
        InputError: it cannot be written.
    """
    with new_file(path, "--plot", replace=True) as part:
        figure.savefig(part, format="png", dpi=150, metadata={"Software": None})
