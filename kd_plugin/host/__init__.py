"""What fairseq lacks on a current stack, or hides."""
