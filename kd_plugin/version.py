"""The one place where the version is written; reading it needs neither fairseq nor torch."""

__version__ = "0.1.0"
