"""What a teacher believes about a batch. Whatever the teacher is, :class:`Targets` comes out."""

from .targets import Belief, Targets, WholeBelief

__all__ = ["Belief", "Targets", "WholeBelief"]
