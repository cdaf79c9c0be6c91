"""English forms: plurals, a or an, the parts of a verb."""

from __future__ import annotations

import re
from dataclasses import dataclass

IRREGULAR = {
    base: forms
    for base, *forms in (
        line.split()
        for line in """
            see saw seen
            buy bought bought
            read read read
            seek sought sought
            give gave given
            find found found
            forget forgot forgotten
            write wrote written
            eat ate eaten
            ring rang rung
            sell sold sold
            send sent sent
            throw threw thrown
            sleep slept slept
            meet met met
            run ran run
            show showed shown
            wear wore worn
            take took taken
            understand understood understood
            get got got
            lose lost lost
            steal stole stolen
            shut shut shut
            hide hid hidden
            tell told told
            wake woke woken
            put put put
            build built built
            bring brought brought
            draw drew drawn
            fall fell fallen
            feed fed fed
            weep wept wept
            stand stood stood
            rise rose risen
            lend lent lent
            break broke broken
            sing sang sung
            leave left left
            have had had
            know knew known
            swim swam swum
            hang hung hung
            flee fled fled
            come came come
        """.split("\n")
        if line.strip()
    )
}
"""Past and participle of the verbs that do not take -ed."""

DOUBLING = ("get", "forget", "run", "shut", "put", "swim", "nap", "wrap", "spot")
"""Verbs whose last letter doubles before -ing, and before -ed where that is regular."""


@dataclass(frozen=True)
class EnglishVerb:
    """A verb as the lexicon writes it, taken apart.

    ``pick ~up``: a particle, also after the object; ``look for``: fixed words;
    ``give (to)``: a preposition that the receiver may take; ``explain [to]``: one that it must;
    ``know=``: a state, so no progressive.
    """

    base: str
    fixed: str
    particle: str
    preposition: str
    must_take: bool
    state: bool

    @property
    def third(self) -> str:
        return "has" if self.base == "have" else _with_s(self.base)

    @property
    def past(self) -> str:
        return IRREGULAR[self.base][0] if self.base in IRREGULAR else self._regular_past()

    @property
    def participle(self) -> str:
        return IRREGULAR[self.base][1] if self.base in IRREGULAR else self._regular_past()

    @property
    def ing(self) -> str:
        if self.base.endswith("e") and not self.base.endswith("ee"):
            return self.base[:-1] + "ing"
        return self._doubled() + "ing"

    def _doubled(self) -> str:
        return self.base + self.base[-1] * (self.base in DOUBLING)

    def _regular_past(self) -> str:
        if self.base.endswith("e"):
            return self.base + "d"
        if re.search("[^aeiou]y$", self.base):
            return self.base[:-1] + "ied"
        return self._doubled() + "ed"


def read_verb(entry: str) -> EnglishVerb:
    """A lexicon's entry, in the notation of :class:`EnglishVerb`."""
    form = r"(\w+)(=?)((?: \w+)*)(?: ~(\w+))?(?: ([(\[])(\w+)[)\]])?"
    found = re.fullmatch(form, entry)
    if found is None:
        raise ValueError(f"the verb {entry!r} is not written as EnglishVerb says")
    base, state, fixed, particle, bracket, preposition = found.groups("")
    return EnglishVerb(base, fixed.strip(), particle, preposition, bracket == "[", bool(state))


def noun(entry: str, plural: bool) -> str:
    """One number of an entry ``singular`` or ``singular/plural``."""
    singular, _, irregular = entry.partition("/")
    return (irregular or _with_s(singular)) if plural else singular


def possessive(word: str, plural: bool) -> str:
    """A noun with ``'s``, or only the apostrophe after a plural's s."""
    return word + ("'" if plural and word.endswith("s") else "'s")


def article(following: str) -> str:
    """``a`` or ``an``, by the sound of the next word."""
    vowel = following[0] in "aeiou" and not following.startswith(("use", "uni", "eu"))
    return "an" if vowel or following.startswith(("honest", "hour")) else "a"


def _with_s(word: str) -> str:
    if re.search("[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search("(s|x|z|ch|sh)$", word) else "s")
