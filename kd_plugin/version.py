"""The one place where the version is written; reading it needs neither fairseq nor torch."""

import platform
from types import ModuleType

__version__ = "0.1.0"


def versions(*modules: ModuleType) -> dict[str, str]:
    """Ours, Python's and those of the modules that could change a result."""
    ours = {"kd-plugin": __version__, "python": platform.python_version()}
    return ours | {module.__name__: str(module.__version__) for module in modules}
