"""Ratios against stock fairseq, measured side by side; see docs/benchmarks.md."""

import logging
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
logging.disable(logging.INFO)  # fairseq tells every setting of every run
