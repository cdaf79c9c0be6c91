"""Ratios against stock fairseq, measured side by side; see docs/benchmarks.md."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy, torch and faiss are imported
