"""The meaning of a sentence, before it has words in either language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from . import lexicon
from .choices import Dice
from .words import (
    Adjective,
    Determiner,
    Kind,
    Modal,
    Noun,
    Opening,
    Place,
    Pronoun,
    Tense,
    Time,
    Verb,
)

KINDS: tuple[Kind, ...] = get_args(Kind)
TENSES: tuple[Tense, ...] = get_args(Tense)
NOUNS_OF = {kind: [noun for noun in lexicon.NOUNS if noun.kind == kind] for kind in KINDS}
ADJECTIVES_OF = {
    kind: [word for word in lexicon.ADJECTIVES if kind in word.kinds] for kind in KINDS
}


@dataclass(frozen=True)
class Phrase:
    """A noun with what belongs to it."""

    noun: Noun
    determiner: Determiner = lexicon.DEFINITE
    plural: bool = False
    adjective: Adjective | None = None
    owner: Phrase | None = None  # only with the definite article


@dataclass(frozen=True)
class Clause:
    """Who does what, to whom, when and where. With a modal the tense is ``modal``."""

    verb: Verb
    subject: Phrase | Pronoun
    object: Phrase | None = None  # accusative
    receiver: Phrase | None = None  # dative
    tense: Tense = "present"
    modal: Modal | None = None
    time: Time | None = None
    place: Place | None = None
    time_leads: bool = False  # a German main clause begins with the time


@dataclass(frozen=True)
class Sentence:
    """A clause, alone, after an opening (``dass``) or before its reason (``weil``)."""

    clause: Clause
    opening: Opening | None = None
    reason: Clause | None = None


def draw_sentence(dice: Dice) -> Sentence:
    """A sentence at random: two in eight with an opening, one in eight with a reason."""
    form = dice(("plain", "dass", "weil"), (5, 2, 1))
    if form == "dass":
        return Sentence(_clause(dice), opening=dice.early(lexicon.OPENINGS))
    if form == "weil":
        return Sentence(_clause(dice, short=True), reason=_clause(dice, short=True))
    return Sentence(_clause(dice))


def _clause(dice: Dice, short: bool = False) -> Clause:
    verb = dice.early(lexicon.VERBS)
    pronoun = dice.chance(0.15)
    tense = dice(TENSES, (4, 4, 3 if verb.is_act else 0))
    times = [time for time in lexicon.TIMES if tense in time.tenses]
    time = dice.early(times) if dice.chance(0.2 if short else 0.5) else None
    return Clause(
        verb=verb,
        subject=dice.any(lexicon.PRONOUNS) if pronoun else _phrase(dice, verb.subjects),
        object=_phrase(dice, verb.objects) if verb.objects else None,
        receiver=_phrase(dice, verb.receivers) if verb.receivers else None,
        tense=tense,
        modal=dice.early(lexicon.MODALS) if tense == "modal" else None,
        time=time,
        place=dice.early(lexicon.PLACES) if dice.chance(0.1 if short else 0.35) else None,
        time_leads=time is not None and time.may_lead and dice.chance(0.4),
    )


def _phrase(dice: Dice, kinds: tuple[Kind, ...]) -> Phrase:
    noun = dice.early(NOUNS_OF[dice.any(kinds)])
    plural = dice.chance(0.25)
    personal = noun.kind == "person"  # my brother, but not my thief
    determiners = [d for d in lexicon.DETERMINERS if not (personal and d in lexicon.POSSESSIVES)]
    determiner = _determiner(dice, determiners, plural)
    owned = determiner is lexicon.DEFINITE and not personal and dice.chance(0.3)
    return Phrase(
        noun=noun,
        determiner=determiner,
        plural=plural,
        adjective=dice.early(ADJECTIVES_OF[noun.kind]) if dice.chance(0.4) else None,
        owner=_owner(dice, noun.kind) if owned else None,
    )


def _owner(dice: Dice, of: Kind) -> Phrase:
    plural = dice.chance(0.2)
    noun = dice.early(NOUNS_OF["person" if of == "kin" else dice.any(lexicon.PEOPLE)])
    possessives = lexicon.POSSESSIVES if noun.kind == "kin" else ()
    determiner = _determiner(dice, (lexicon.DEFINITE, *possessives), plural)
    adjective = dice.early(ADJECTIVES_OF[noun.kind]) if dice.chance(0.15) else None
    return Phrase(noun, determiner, plural, adjective)


def _determiner(dice: Dice, among: Sequence[Determiner], plural: bool) -> Determiner:
    fitting = [word for word in among if (word.plural if plural else word.singular)]
    return dice(fitting, [word.weight for word in fitting])
