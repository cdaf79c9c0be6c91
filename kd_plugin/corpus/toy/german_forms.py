"""German endings: articles, adjectives and nouns in four cases."""

from __future__ import annotations

import re
from typing import Literal

from .words import Determiner, Noun

Case = Literal["nom", "acc", "dat", "gen"]
Endings = dict[str, dict[str, str]]


def _table(text: str) -> Endings:
    """Rows are cases, columns masculine, feminine, neuter, plural; ``-`` is no ending."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {row[0]: dict(zip("mfnp", (cell.strip("-") for cell in row[1:]))) for row in rows}


DER = _table("""
    nom der die das die
    acc den die das die
    dat dem der dem den
    gen des der des der
""")
DIESER = _table("""
    nom -er -e  -es -e
    acc -en -e  -es -e
    dat -em -er -em -en
    gen -es -er -es -er
""")
EIN = _table("""
    nom -   -e  -   -e
    acc -en -e  -   -e
    dat -em -er -em -en
    gen -es -er -es -er
""")
AFTER_DER = _table("""
    nom -e  -e  -e  -en
    acc -en -e  -e  -en
    dat -en -en -en -en
    gen -en -en -en -en
""")
AFTER_EIN = _table("""
    nom -er -e  -es -en
    acc -en -e  -es -en
    dat -en -en -en -en
    gen -en -en -en -en
""")
ALONE = _table("""
    nom -er -e  -es -e
    acc -en -e  -es -e
    dat -em -er -em -en
    gen -en -er -en -er
""")

PATTERNS: dict[str, tuple[Endings | None, Endings]] = {
    "der": (DER, AFTER_DER),
    "dieser": (DIESER, AFTER_DER),
    "ein": (EIN, AFTER_EIN),
    "viele": (DIESER, ALONE),
    "none": (None, ALONE),
}
"""What a determiner takes itself, and what it leaves to the adjective."""


def determiner(word: Determiner, case: Case, column: str) -> str:
    """A determiner in a case and a column (``m``, ``f``, ``n``, ``p``); may be empty."""
    endings, _ = PATTERNS[word.pattern]
    return word.german + (endings[case][column] if endings else "")


def adjective_ending(word: Determiner, case: Case, column: str) -> str:
    """What an adjective ends in after a determiner."""
    return PATTERNS[word.pattern][1][case][column]


def noun(word: Noun, case: Case, plural: bool) -> str:
    """A noun in a case."""
    if plural:
        return word.plural + ("n" if case == "dat" and word.plural[-1] not in "ns" else "")
    if word.weak:
        return word.german if case == "nom" else word.plural
    if case != "gen" or word.gender == "f":
        return word.german
    return word.genitive or word.german + _genitive_ending(word.german)


def _genitive_ending(word: str) -> str:
    one_syllable = len(re.findall("[aeiouäöü]+", word.lower())) == 1
    return "es" if one_syllable or word.endswith(("s", "ß", "x", "z")) else "s"
