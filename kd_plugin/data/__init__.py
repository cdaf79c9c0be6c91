"""fairseq datasets of ours, and batches of a corpus that lose nothing."""
