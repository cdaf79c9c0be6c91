"""English: many sentences for each plan, all of them correct."""

from __future__ import annotations

from . import english_forms as forms
from .choices import Chooser
from .english_forms import EnglishVerb, read_verb
from .plans import Clause, Phrase, Sentence
from .words import Position, Pronoun

AUXILIARIES = ("must", "can", "should", "may", "will", "would", "is", "are", "has", "have")
LONGEST_BEFORE_PARTICLE = 3  # words, in "throws the old letter away"


def english(plan: Sentence, choose: Chooser) -> str:
    """One English sentence of a plan."""
    if plan.opening:
        that = choose((["that"], list[str]()))
        words = [choose(plan.opening.english), *that, *_clause(plan.clause, choose)]
    elif plan.reason:
        because = choose(("because", "since", "as"))
        reason, main = _clause(plan.reason, choose), _clause(plan.clause, choose)
        after = choose((True, False), (8, 2))
        words = [*main, because, *reason] if after else [because, *reason, ",", *main]
    else:
        words = _clause(plan.clause, choose, alone=True)
    text = " ".join(words).replace(" ,", ",")
    return text[0].upper() + text[1:] + "."


def _clause(clause: Clause, choose: Chooser, alone: bool = False) -> list[str]:
    verb = read_verb(choose(clause.verb.english))
    subject = _subject(clause, choose)
    before, finite = _verb(clause, verb, choose)
    complements = _complements(clause, verb, choose)
    place = [choose(clause.place.english)] if clause.place else []
    time, position = _time(clause, choose, alone)
    if position == "begin":
        comma = choose(([","], list[str]()))
        return [*time, *comma, *subject, *before, *finite, *complements, *place]
    if position == "middle":
        return [*subject, *before, *time, *finite, *complements, *place]
    adverbials = choose(([*place, *time], [*time, *place])) if place and time else [*place, *time]
    return [*subject, *before, *finite, *complements, *adverbials]


def _subject(clause: Clause, choose: Chooser) -> list[str]:
    subject = clause.subject
    return [subject.english] if isinstance(subject, Pronoun) else phrase(subject, choose)


def phrase(plan: Phrase, choose: Chooser) -> list[str]:
    """The words of a noun phrase; an owner comes before the noun with 's or after it with of."""
    core = [choose(plan.adjective.english)] if plan.adjective else []
    core.append(forms.noun(choose(plan.noun.english), plan.plural))
    if plan.owner:
        owner = phrase(plan.owner, choose)
        if choose((True, False)):
            return [*owner[:-1], forms.possessive(owner[-1], plan.owner.plural), *core]
        return ["the", *core, "of", *owner]
    word = choose(plan.determiner.plural if plan.plural else plan.determiner.singular)
    if word == "a":
        word = forms.article(core[0])
    return [word, *core] if word else core


def _verb(clause: Clause, verb: EnglishVerb, choose: Chooser) -> tuple[list[str], list[str]]:
    """The verb's words, cut where an adverb may stand between them."""
    words = _tense(clause, verb, choose).split()
    cut = 1 if words[0] in AUXILIARIES and words[1:2] != ["to"] and len(words) > 1 else 0
    return words[:cut], words[cut:]


def _tense(clause: Clause, verb: EnglishVerb, choose: Chooser) -> str:
    plural, timing = clause.subject.plural, clause.time.timing if clause.time else None
    progressive = f"{'are' if plural else 'is'} {verb.ing}"
    if clause.modal:
        forms_of_modal = choose(clause.modal.english).split("/")
        return f"{forms_of_modal[-1 if plural else 0]} {verb.base}"
    if clause.tense == "perfect":
        past = [verb.past]
        if timing not in ("dated", "habit"):
            past.append(f"{'have' if plural else 'has'} {verb.participle}")
        return choose(past)
    if timing == "dated":
        be_going = f"{'are' if plural else 'is'} going to {verb.base}"
        return choose([f"will {verb.base}", be_going, *([] if verb.state else [progressive])])
    simple = verb.base if plural else verb.third
    if verb.state or timing in ("habit", "frequency"):
        return simple
    return choose((progressive, simple)) if timing == "now" else choose((simple, progressive))


def _complements(clause: Clause, verb: EnglishVerb, choose: Chooser) -> list[str]:
    """Everything between the verb and the adverbials."""
    thing = phrase(clause.object, choose) if clause.object else []
    receiver = phrase(clause.receiver, choose) if clause.receiver else []
    fixed = [verb.fixed] if verb.fixed else []
    if thing and receiver:
        if not verb.must_take and choose((True, False)):
            return [*fixed, *receiver, *thing]
        receiver = [verb.preposition, *receiver]
    else:
        thing, receiver = thing + receiver, []
    if not verb.particle:
        return [*fixed, *thing, *receiver]
    if len(thing) <= LONGEST_BEFORE_PARTICLE and choose((False, True)):
        return [*thing, verb.particle, *receiver]
    return [verb.particle, *thing, *receiver]


def _time(clause: Clause, choose: Chooser, alone: bool) -> tuple[list[str], Position]:
    if clause.time is None:
        return [], "end"
    text = choose(clause.time.english)
    weights = {"begin": 6 if clause.time_leads else 2, "middle": 6, "end": 3}
    positions = [
        position
        for position in clause.time.positions
        if not (position == "begin" and not alone) and not (position == "middle" and " " in text)
    ]
    return [text], choose(positions, [weights[position] for position in positions])
