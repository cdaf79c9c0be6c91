"""What a teacher believes about a batch. Whatever the teacher is, :class:`Targets` comes out."""

from .targets import AllRows, Belief, Targets, WholeBelief

__all__ = ["AllRows", "Belief", "Targets", "WholeBelief"]
