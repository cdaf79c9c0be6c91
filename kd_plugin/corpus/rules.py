"""What is wrong with a hypothesis: one short function a rule."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..errors import InputError
from .generate import is_repetitive

NO_TEXT = frozenset(("Cc", "Cn", "Co", "Cs"))  # control, unassigned, private, surrogate
REPLACED = "\ufffd"  # what decoders put for bytes that they do not understand


@dataclass(frozen=True)
class Hypothesis:
    """What rules see of a hypothesis and its source."""

    source: str
    text: str
    source_length: int  # in tokens, as the next
    length: int
    pieces: Sequence[str]
    tokens: Sequence[int]
    score: float | None
    gold: float | None = None  # the reference's score
    is_gold: bool = False  # whether it is the reference


Rule = Callable[[Hypothesis], bool]  # whether it is broken


def chosen(
    unknown: int,
    max_ratio: float | None = None,
    min_score: float | None = None,
    gold_margin: float | None = None,
    scripts: Iterable[str] = (),
    switches: Iterable[str] = (),
) -> dict[str, Rule]:
    """Rules by the name under which they are counted, in the order in which they are asked.

    Args:
        unknown: id of the dictionary's unknown token.
        max_ratio: see :func:`ratio_above`.
        min_score: see :func:`score_below`.
        gold_margin: see :func:`worse_than_gold`.
        scripts: see :func:`other_script`.
        switches: some of ``copies``, ``repetition``, ``unknown`` and ``encoding``.

    Raises:
        InputError: a script is none.
    """
    found: dict[str, Rule] = {}
    if max_ratio is not None:
        found["length ratio"] = ratio_above(max_ratio)
    if min_score is not None:
        found["score"] = score_below(min_score)
    if gold_margin is not None:
        found["worse than gold"] = worse_than_gold(gold_margin)
    if scripts := frozenset(scripts):
        _require_scripts(scripts)
        found["script"] = other_script(scripts)
    simple: dict[str, tuple[str, Rule]] = {
        "copies": ("copy", is_copy),
        "repetition": ("repetition", repeats_itself),
        "unknown": ("unknown token", has_unknown(unknown)),
        "encoding": ("encoding", is_badly_encoded),
    }
    switches = frozenset(switches)
    return found | dict(rule for name, rule in simple.items() if name in switches)


def _require_scripts(scripts: Iterable[str]) -> None:
    for script in sorted(scripts):
        if not any(_begins(script, ending) for ending in ("LETTER A", "SMALL LETTER A", "KA")):
            raise InputError(
                f"--script {script} is none; give such as latin, cyrillic, greek, arabic, hebrew, "
                "devanagari, cjk, hiragana, katakana, hangul"
            )


def _begins(script: str, ending: str) -> bool:
    """Whether some character is called ``SCRIPT ENDING``."""
    try:
        return bool(unicodedata.lookup(f"{script.upper()} {ending}"))
    except KeyError:
        return script in ("cjk", "hangul")


def ratio_above(most: float) -> Rule:
    """The longer of source and translation has over ``most`` times the other's tokens."""
    return lambda h: max(h.length, h.source_length) > most * min(h.length, h.source_length)


def score_below(least: float) -> Rule:
    """The score is lower, or not finite."""
    return lambda h: h.score is None or h.score < least


def worse_than_gold(margin: float) -> Rule:
    """The reference scores higher, by more than ``margin``; the reference itself is no worse."""

    def broken(h: Hypothesis) -> bool:
        if h.gold is None or h.is_gold:
            return False
        return h.score is None or h.score < h.gold - margin

    return broken


def is_copy(hypothesis: Hypothesis) -> bool:
    """The translation is its source."""
    return hypothesis.text == hypothesis.source


def repeats_itself(hypothesis: Hypothesis) -> bool:
    """Some one to four subwords stand four times in a row; unknown ones differ by their text."""
    numbers = {piece: number for number, piece in enumerate(hypothesis.pieces)}
    return is_repetitive([numbers[piece] for piece in hypothesis.pieces])


def has_unknown(unknown: int) -> Rule:
    """A token is the dictionary's unknown one."""
    return lambda h: unknown in h.tokens


def is_badly_encoded(hypothesis: Hypothesis) -> bool:
    """Control characters, replaced bytes, or UTF-8 that was read as Windows-1252."""
    text = hypothesis.text
    if text.isascii() and text.isprintable():
        return False
    if REPLACED in text or any(unicodedata.category(letter) in NO_TEXT for letter in text):
        return True
    try:
        return text.encode("cp1252").decode() != text
    except UnicodeError:
        return False


def other_script(scripts: frozenset[str], share: float = 0.5) -> Rule:
    """Fewer than ``share`` of its letters are of these scripts; a text without letters is not."""

    def broken(hypothesis: Hypothesis) -> bool:
        letters = [letter for letter in hypothesis.text if letter.isalpha()]
        right = sum(script_of(letter) in scripts for letter in letters)
        return right < share * len(letters)

    return broken


@lru_cache(1 << 16)
def script_of(letter: str) -> str:
    """The first word of a character's name, such as latin, cyrillic or cjk."""
    return unicodedata.name(letter, "none").split()[0].lower()
