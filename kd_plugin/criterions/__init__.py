"""One file per method; importing this package registers all of them."""

from .annealing_kd import AnnealingKD
from .hybrid_kd import HybridKD
from .knn_kd import KnnKD
from .selective_kd import SelectiveKD
from .seq_kd import SeqKD
from .tie_kd import TieKD
from .word_kd import WordKD

__all__ = ["AnnealingKD", "HybridKD", "KnnKD", "SelectiveKD", "SeqKD", "TieKD", "WordKD"]
