"""Teacher corpora: text that a teacher wrote for the sources of a corpus."""
