"""A German-English corpus out of thin air, on which a student profits from a teacher in minutes.

A meaning is drawn; German is a function of it, English one of many correct renderings
(:mod:`.sentences`). So a reference says little about what the student can know from the source,
and a teacher's distribution or translation says more. That is the whole gain here, and it proves
nothing about real text.
"""

from .writing import write_toy_corpus

__all__ = ["write_toy_corpus"]
