"""Knowledge distillation for neural machine translation, as a fairseq ``--user-dir``.

Importing this package registers the task, the criterions and the models with fairseq. The command
``fairseq-kd`` alone imports it without them, so that ``--help`` need not wait for fairseq.
"""

import sys
from pathlib import Path

from . import errors
from .version import __version__

__all__ = ["__version__", "register"]

errors.show_on_one_line()


def register() -> None:
    """Make fairseq ready for this package and register what it brings; once is enough.

    Raises:
        MissingHostError: there is no fairseq; the message says what to type.
    """
    from .host.imports import import_fairseq

    try:
        import_fairseq()
    except ModuleNotFoundError as error:
        if error.name != "fairseq":
            raise
        raise errors.MissingHostError(
            "kd_plugin needs fairseq, which is not installed; type: pip install "
            "'kd-plugin[fairseq]' or pip install fairseq-fixed==0.12.3.1, or install your own",
            name="fairseq",
        ) from None
    from .host import mends

    mends.prepare()
    from . import criterions, models, tasks  # noqa: F401  (importing registers)


if Path(sys.argv[0]).stem != "fairseq-kd":
    register()
