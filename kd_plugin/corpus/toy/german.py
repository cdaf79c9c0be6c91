"""German: one sentence for each plan."""

from __future__ import annotations

from . import german_forms as forms
from .german_forms import Case
from .plans import Clause, Phrase, Sentence
from .words import Pronoun


def german(plan: Sentence) -> str:
    """The German sentence of a plan."""
    if plan.opening:
        words = f"{plan.opening.german}, dass {subordinate_clause(plan.clause)}"
    elif plan.reason:
        words = f"{main_clause(plan.clause)}, weil {subordinate_clause(plan.reason)}"
    else:
        words = main_clause(plan.clause)
    return words[0].upper() + words[1:] + "."


def main_clause(clause: Clause) -> str:
    """A clause with its finite verb in the second place."""
    finite, rest = _verb(clause)
    subject, time = _subject(clause), clause.time.german if clause.time else ""
    if clause.time_leads:
        return _join(time, finite, subject, *_middle(clause, ""), rest)
    return _join(subject, finite, *_middle(clause, time), rest)


def subordinate_clause(clause: Clause) -> str:
    """A clause with its finite verb at the end, where a prefix joins it."""
    finite, rest = _verb(clause)
    time = clause.time.german if clause.time else ""
    end = rest + finite if clause.tense == "present" else f"{rest} {finite}"
    return _join(_subject(clause), *_middle(clause, time), end)


def phrase(plan: Phrase, case: Case) -> str:
    """A noun phrase in a case; its owner follows in the genitive."""
    column = "p" if plan.plural else plan.noun.gender
    adjective = ""
    if plan.adjective:
        ending = forms.adjective_ending(plan.determiner, case, column)
        adjective = plan.adjective.german + ending
    return _join(
        forms.determiner(plan.determiner, case, column),
        adjective,
        forms.noun(plan.noun, case, plan.plural),
        phrase(plan.owner, "gen") if plan.owner else "",
    )


def _verb(clause: Clause) -> tuple[str, str]:
    """The finite verb and what closes a main clause: a prefix, a participle, an infinitive."""
    verb, plural = clause.verb, clause.subject.plural
    if clause.modal:
        finite = clause.modal.plural if plural else clause.modal.singular
        return finite, verb.prefix + verb.base
    if clause.tense == "perfect":
        auxiliary = ("sind", "ist") if verb.with_sein else ("haben", "hat")
        return auxiliary[0 if plural else 1], verb.prefix + verb.participle
    return verb.base if plural else verb.third, verb.prefix


def _subject(clause: Clause) -> str:
    subject = clause.subject
    return subject.german if isinstance(subject, Pronoun) else phrase(subject, "nom")


def _middle(clause: Clause, time: str) -> list[str]:
    """Time, receiver, object and place; an indefinite object comes last."""
    receiver = phrase(clause.receiver, "dat") if clause.receiver else ""
    thing = phrase(clause.object, "acc") if clause.object else ""
    place = clause.place.german if clause.place else ""
    last = clause.object or clause.receiver
    if last and last.determiner.definite:
        if clause.time and clause.time.after_definite:
            return [receiver, thing, time, place]
        return [time, receiver, thing, place]
    if clause.object:
        return [time, receiver, place, thing]
    return [time, receiver, place]


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)
