"""Ratios against stock fairseq; see docs/benchmarks.md."""
