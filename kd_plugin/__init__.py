"""Knowledge distillation for neural machine translation, as a fairseq ``--user-dir``.

Importing this package registers the task, the criterions and the models with fairseq.
"""

from . import errors
from .version import __version__

__all__ = ["__version__"]

errors.show_on_one_line()

try:
    import fairseq  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "fairseq":
        raise
    raise errors.MissingHostError(
        "kd_plugin needs fairseq, which is not installed; type: pip install "
        "'kd-plugin[fairseq]' or pip install fairseq-fixed==0.12.3.1, or install your own",
        name="fairseq",
    ) from None

from .host import mends  # noqa: E402

mends.prepare()

from . import criterions, models, tasks  # noqa: E402, F401  (importing registers)
