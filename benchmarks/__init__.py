"""Ratios against stock fairseq; see docs/benchmarks.md."""

import logging

logging.disable(logging.INFO)  # fairseq tells every setting of every run
