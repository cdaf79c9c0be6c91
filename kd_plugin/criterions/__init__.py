"""One file per method; importing this package registers all of them."""

from .seq_kd import SeqKD
from .word_kd import WordKD

__all__ = ["SeqKD", "WordKD"]
