"""The command line ``fairseq-kd``: each file parses, checks, calls and prints."""
