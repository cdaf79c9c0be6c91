"""A linear layer and its loss as one operation, chunk by chunk; nothing here knows fairseq."""

from .linear import Terms, dense_loss, linear_loss, log_probability_rows
from .targets import SoftTarget
from .terms import Divergence, Equation, SmoothedNLL, Term

__all__ = [
    "Divergence",
    "Equation",
    "SmoothedNLL",
    "SoftTarget",
    "Term",
    "Terms",
    "dense_loss",
    "linear_loss",
    "log_probability_rows",
]
