"""Tasks; importing this package registers them."""

from .distillation import DistillationTask

__all__ = ["DistillationTask"]
