"""What the lexicon's tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gender = Literal["m", "f", "n"]
Kind = Literal[
    "person",
    "kin",  # people who are somebody's: a brother, a friend
    "animal",
    "food",
    "text",
    "tale",
    "clothes",
    "vehicle",
    "thing",
    "openable",
    "building",
    "room",
    "idea",
]
Tense = Literal["present", "perfect", "modal"]
Position = Literal["begin", "middle", "end"]

Timing = Literal["dated", "habit", "frequency", "now"]
"""What a time does to English tenses.

dated: a point in time, so the past has no present perfect and the present means the future;
habit: simple tenses only; frequency: no progressive; now: mostly progressive.
"""


@dataclass(frozen=True)
class Noun:
    """A noun; English entries are ``singular`` with a regular plural or ``singular/plural``."""

    german: str
    gender: Gender
    plural: str
    kind: Kind
    english: tuple[str, ...]
    weak: bool = False  # the plural's form in every singular case but the nominative
    genitive: str = ""  # where the rule (-es after one syllable or a hiss, else -s) is unusual


@dataclass(frozen=True)
class Adjective:
    """An adjective's stem before endings, and the nouns that it goes with."""

    german: str
    kinds: tuple[Kind, ...]
    english: tuple[str, ...]


@dataclass(frozen=True)
class Verb:
    """A verb by its infinitive (``auf|machen``: separable), third person and bare participle.

    ``objects`` are the kinds of its accusative object, ``receivers`` of its dative one; without
    either it takes none. English entries are read by :func:`english_forms.read_verb`.
    """

    german: str
    third: str
    participle: str
    english: tuple[str, ...]
    objects: tuple[Kind, ...] = ()
    receivers: tuple[Kind, ...] = ()
    subjects: tuple[Kind, ...] = ("person", "kin")
    with_sein: bool = False

    @property
    def prefix(self) -> str:
        """What separates in a main clause; empty for most verbs."""
        return self.german.split("|")[0] if "|" in self.german else ""

    @property
    def base(self) -> str:
        """The infinitive without its prefix, which is also the plural of the present."""
        return self.german.split("|")[-1]

    @property
    def is_act(self) -> bool:
        """Whether one can want to or have to; nobody intends to lose a key or to know a man."""
        return any("=" not in entry for entry in self.english)


@dataclass(frozen=True)
class Modal:
    """A modal verb; English entries are ``form`` or ``singular/plural``."""

    singular: str
    plural: str
    english: tuple[str, ...]


@dataclass(frozen=True)
class Determiner:
    """An article or what stands in its place; no English form, no such number."""

    german: str
    pattern: Literal["der", "dieser", "ein", "viele", "none"]  # see german_forms
    singular: tuple[str, ...]
    plural: tuple[str, ...]
    weight: int  # how often, out of the sum
    definite: bool = False  # a definite object stands before a place


@dataclass(frozen=True)
class Pronoun:
    """A personal pronoun, as a subject."""

    german: str
    english: str
    plural: bool


@dataclass(frozen=True)
class Time:
    """A time adverbial, the tenses that it goes with and where English may put it."""

    german: str
    timing: Timing
    tenses: tuple[Tense, ...]
    english: tuple[str, ...]
    positions: tuple[Position, ...] = ("begin", "end")
    after_definite: bool = False  # German puts it behind a definite object

    @property
    def may_lead(self) -> bool:
        """Whether a main clause may begin with it."""
        return "begin" in self.positions


@dataclass(frozen=True)
class Place:
    """A place adverbial."""

    german: str
    english: tuple[str, ...]


@dataclass(frozen=True)
class Opening:
    """A main clause that takes a ``dass`` clause."""

    german: str
    english: tuple[str, ...]
