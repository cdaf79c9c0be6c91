"""Nearest neighbours of decoder states: the datastore, its search, and kNN-MT."""
