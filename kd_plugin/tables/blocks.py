"""What a page is made of: blocks, which each format writes in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

W3 = "http://www.w3.org"


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Code:
    lines: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """Names on the left, numbers on the right; ``words``: columns of words beside the first."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Picture:
    """An SVG element; a file of it is ``name``.svg beside the page."""

    name: str
    caption: str
    svg: str

    @property
    def file(self) -> str:
        """With the name spaces that a file needs, and a page does not."""
        spaces = f'xmlns="{W3}/2000/svg" xmlns:xlink="{W3}/1999/xlink"'
        return f"{self.svg.replace('<svg', f'<svg {spaces}', 1)}\n"


Block = Heading | Text | Code | Grid | Picture
