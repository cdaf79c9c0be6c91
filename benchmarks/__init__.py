"""Ratios against stock fairseq, measured side by side; see docs/benchmarks.md."""
