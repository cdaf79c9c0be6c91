"""Architectures of ours; importing this package registers all of them."""

from .transformer_glu import TransformerGLU

__all__ = ["TransformerGLU"]
