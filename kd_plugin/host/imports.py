"""Import fairseq in half of the time: without what it imports for tasks that translate nothing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

# Of the criterion sentence_prediction and the task audio_classification: 1 to 2 s of every command.
UNUSED = ("scipy.stats", "sklearn.metrics")


class _Later(types.ModuleType):
    """A module whose functions import the true one when they are called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*args, **options)

        return call


def import_fairseq() -> None:
    """Import fairseq, and let its functions load :data:`UNUSED` when they need them.

    What the process has imported before stays as it is, and later imports find the libraries.
    """
    if sys.modules.get("fairseq") is not None:
        return
    ours = _stand_ins()
    sys.modules.update(ours)
    try:
        import fairseq  # noqa: F401
    finally:
        for name, module in ours.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _stand_ins() -> dict[str, types.ModuleType]:
    """Modules, and the packages that hold them: other parts of these are imported as they are."""
    made: dict[str, types.ModuleType] = {}
    for name in UNUSED:
        package = name.partition(".")[0]
        spec = None if package in sys.modules else importlib.util.find_spec(package)
        if spec is None or spec.submodule_search_locations is None:
            continue
        holder = types.ModuleType(package)
        holder.__path__ = list(spec.submodule_search_locations)
        made |= {package: holder, name: _Later(name)}
        setattr(holder, name.partition(".")[2], made[name])
    return made
