"""Scores of translations, and what may be said about differences between them."""
