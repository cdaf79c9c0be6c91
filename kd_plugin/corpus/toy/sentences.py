"""A meaning is drawn; German says it in one way, English in one of many.

German has only feminine and neuter nouns after ``die``, ``diese`` or ``jede``, as subject and
object, and its verbs stand at the end behind ``hat`` or a modal: there is no inflection to learn,
but the order of words differs, and most words have several translations.
"""

from __future__ import annotations

from dataclasses import dataclass

from .dice import Dice

Entry = tuple[str, list[str]]  # German, and its English words, the likelier first


def read(table: str) -> list[Entry]:
    """Entries of ``German: English, English; German: English``, the more frequent first."""
    entries = (entry.split(":") for entry in " ".join(table.split()).rstrip(";").split(";"))
    return [(german.strip(), english.strip().split(", ")) for german, english in entries]


PEOPLE = read("""
    die Frau: woman, lady; das Kind: child, kid; die Mutter: mother, mom; das Mädchen: girl, lass;
    die Lehrerin: teacher, instructor; die Ärztin: doctor, physician;
    die Schwester: sister, sibling; die Nachbarin: neighbour, woman next door;
    die Freundin: friend, companion, buddy; die Königin: queen, monarch;
    die Chefin: boss, manager, head; die Familie: family, household; das Baby: baby, infant;
    die Wache: guard, sentry; die Gruppe: group, team, crew; die Köchin: cook, chef;
    die Bäuerin: farmer, countrywoman; die Kundin: customer, client, shopper;
    die Studentin: student, undergraduate; die Künstlerin: artist, painter;
    das Paar: couple, pair; die Touristin: tourist, traveller, visitor;
    die Sängerin: singer, vocalist; die Diebin: thief, robber; die Zeugin: witness, observer;
    die Heldin: heroine, champion; das Publikum: audience, crowd;
    die Richterin: judge, magistrate; die Anwältin: lawyer, attorney;
    die Fahrerin: driver, chauffeur
""")
THINGS = read("""
    das Haus: house, home; das Buch: book, volume; das Auto: car, automobile; die Tür: door, gate;
    das Bild: picture, painting, image; die Straße: street, road; das Geld: money, cash;
    die Stadt: city, town; die Katze: cat, kitty; das Fenster: window; das Boot: boat, vessel;
    die Geschichte: story, tale; die Blume: flower, blossom; das Brot: bread, loaf;
    die Tasche: bag, handbag, purse; das Pferd: horse, pony; die Zeitung: newspaper, paper;
    das Schiff: ship, liner; die Antwort: answer, reply, response; das Spiel: game, match;
    die Lampe: lamp, light; das Zimmer: room, chamber; die Suppe: soup, broth;
    das Geschenk: present, gift; die Brücke: bridge, overpass; das Fahrrad: bicycle, bike;
    die Jacke: jacket, coat; das Problem: problem, issue, difficulty;
    die Maschine: machine, device; das Lied: song, tune; die Idee: idea, thought, notion;
    das Dorf: village, hamlet; die Kuh: cow; das Werkzeug: tool, implement;
    die Flasche: bottle, flask; das Kleid: dress, gown; die Karte: map, chart;
    das Messer: knife, blade; die Fabrik: factory, plant; das Gebäude: building, structure;
    die Insel: island, isle; das Zelt: tent, shelter; die Uhr: clock, watch;
    das Huhn: chicken, hen; die Regel: rule, regulation; das Foto: photo, snapshot;
    die Wand: wall, partition; das Feld: field, meadow
""")
ADJECTIVES = read("""
    neu: new, brand-new; alt: old, elderly; klein: small, little, tiny; groß: big, large;
    schön: beautiful, lovely; gut: good, fine; rot: red, crimson; schwarz: black, dark;
    reich: rich, wealthy; arm: poor, needy; schnell: fast, quick, speedy; ruhig: calm, quiet;
    seltsam: strange, odd, weird; müd: tired, weary; glücklich: happy, glad;
    traurig: sad, unhappy; berühmt: famous, renowned; krank: ill, sick; wichtig: important, major;
    billig: cheap, inexpensive; schmutzig: dirty, filthy; sauber: clean, spotless;
    gefährlich: dangerous, risky; klug: clever, smart, bright; stark: strong, powerful;
    faul: lazy, idle; freundlich: friendly, kind; bös: evil, wicked; jung: young, youthful;
    kaputt: broken, damaged
""")
VERBS = read("""
    sehen gesehen: see/saw/seen, notice, spot/spotted/spotted;
    kaufen gekauft: buy/bought/bought, purchase; finden gefunden: find/found/found, discover;
    suchen gesucht: look for/looked for/looked for, seek/sought/sought;
    lieben geliebt: love, adore; malen gemalt: paint, draw/drew/drawn;
    holen geholt: fetch, get/got/got; öffnen geöffnet: open, unlock;
    schließen geschlossen: close, shut/shut/shut; zeigen gezeigt: show/showed/shown;
    verkaufen verkauft: sell/sold/sold, trade;
    besuchen besucht: visit, call on/called on/called on;
    bauen gebaut: build/built/built, construct; zerstören zerstört: destroy, wreck, ruin;
    beschreiben beschrieben: describe, depict;
    vergessen vergessen: forget/forgot/forgotten, overlook;
    bringen gebracht: bring/brought/brought, deliver;
    nehmen genommen: take/took/taken, grab/grabbed/grabbed; putzen geputzt: clean, wash;
    bewachen bewacht: guard, watch over/watched over/watched over; hören gehört: hear/heard/heard;
    wählen gewählt: choose/chose/chosen, pick, select; retten gerettet: save, rescue;
    stehlen gestohlen: steal/stole/stolen, pinch; hassen gehasst: hate, detest;
    brauchen gebraucht: need, require; verlassen verlassen: leave/left/left, abandon;
    prüfen geprüft: check, examine, inspect; ändern geändert: change, alter;
    verstecken versteckt: hide/hid/hidden, conceal; mieten gemietet: rent, hire;
    begleiten begleitet: accompany/accompanied/accompanied, escort;
    verlieren verloren: lose/lost/lost; werfen geworfen: throw/threw/thrown, toss;
    reparieren repariert: repair, fix, mend; füttern gefüttert: feed/fed/fed;
    schicken geschickt: send/sent/sent, mail;
    erkennen erkannt: recognise, identify/identified/identified;
    treffen getroffen: meet/met/met, encounter; loben gelobt: praise, commend
""")
MODALS = read("""
    muss: must, has to, needs to; will: wants to, would like to, wishes to; kann: can, is able to;
    soll: should, ought to, is supposed to; darf: may, is allowed to, is permitted to
""")
TIMES = read("""
    heute: today, this day; danach: afterwards, after that;
    am Abend: in the evening, at nightfall; oft: often, frequently, many times;
    manchmal: sometimes, now and then; am Montag: on Monday;
    am Morgen: in the morning, early in the day; endlich: finally, at last;
    plötzlich: suddenly, all of a sudden; im Sommer: in the summer, during summer;
    nachts: at night, by night; selten: rarely, seldom; sofort: at once, immediately, right away;
    am Wochenende: at the weekend, on the weekend
""")
PLACES = read("""
    im Garten: in the garden, in the yard; in der Schule: at school, in the classroom;
    im Wald: in the woods, in the forest; auf dem Markt: at the market, on the marketplace;
    am Strand: on the beach, at the seaside; im Keller: in the basement, in the cellar;
    in der Küche: in the kitchen; am Bahnhof: at the station, at the railway station;
    im Laden: in the shop, in the store; unter dem Baum: under the tree, beneath the tree;
    im Park: in the park; vor der Kirche: in front of the church, outside the church;
    im Büro: at the office, at work; neben dem Fluss: by the river, beside the river;
    auf dem Berg: on the mountain, on the hill
""")
OPENINGS = read("""
    ich glaube: I think, I believe, I suppose; wir wissen: we know, we are aware;
    es ist klar: it is clear, it is obvious; alle sagen: everyone says, people say;
    ich hoffe: I hope; es stimmt: it is true, it is correct, it is right
""")
DETERMINERS = read("die: the; dies: this, that; jed: every, each")
JOINS = ("because", "since", "as")


@dataclass(frozen=True)
class Clause:
    """Who has done what, or must do it, when and where; each a row of a table."""

    subject: list[Entry]  # determiner, perhaps an adjective, noun
    object: list[Entry]
    verb: Entry
    modal: Entry | None
    time: Entry | None
    place: Entry | None
    time_leads: bool


@dataclass(frozen=True)
class Sentence:
    """A clause, perhaps behind an opening with ``dass`` or before its reason with ``weil``."""

    clause: Clause
    opening: Entry | None
    reason: Clause | None


def draw_sentence(dice: Dice) -> Sentence:
    """A sentence at random."""
    opening = dice.early(OPENINGS) if dice.chance(0.25) else None
    reason = _clause(dice, 0.2) if opening is None and dice.chance(0.15) else None
    return Sentence(_clause(dice, 0.2 if reason else 0.5), opening, reason)


def _clause(dice: Dice, more: float) -> Clause:
    return Clause(
        subject=_phrase(dice, PEOPLE),
        object=_phrase(dice, THINGS),
        verb=dice.early(VERBS),
        modal=dice.early(MODALS) if dice.chance(0.4) else None,
        time=dice.early(TIMES) if dice.chance(more) else None,
        place=dice.early(PLACES) if dice.chance(more) else None,
        time_leads=dice.chance(0.4),
    )


def _phrase(dice: Dice, nouns: list[Entry]) -> list[Entry]:
    adjective = [dice.early(ADJECTIVES)] if dice.chance(0.4) else []
    return [dice.early(DETERMINERS), *adjective, dice.early(nouns)]


# German: one sentence


def german(sentence: Sentence) -> str:
    """The German of a meaning."""
    if sentence.opening:
        opening, rest = sentence.opening[0], _german(sentence.clause, verb_last=True)
        return _written(f"{opening}, dass {rest}")
    main = _german(sentence.clause, verb_last=False)
    if sentence.reason:
        main += f", weil {_german(sentence.reason, verb_last=True)}"
    return _written(main)


def _german(clause: Clause, verb_last: bool) -> str:
    infinitive, participle = clause.verb[0].split()
    finite, verb = (clause.modal[0], infinitive) if clause.modal else ("hat", participle)
    time, place = (part[0] if part else "" for part in (clause.time, clause.place))
    subject, thing = _german_phrase(clause.subject), _german_phrase(clause.object)
    if verb_last:
        order = [subject, time, thing, place, verb, finite]
    elif clause.time_leads and time:
        order = [time, finite, subject, thing, place, verb]
    else:
        order = [subject, finite, time, thing, place, verb]
    return " ".join(part for part in order if part)


def _german_phrase(entries: list[Entry]) -> str:
    (determiner, _), *adjectives, (noun, _) = entries
    article, word = noun.split()
    if determiner != "die":
        article = determiner + ("es" if article == "das" else "e")
    return " ".join([article, *(f"{stem}e" for stem, _ in adjectives), word])


# English: one of many sentences


def english(sentence: Sentence, dice: Dice) -> str:
    """One English sentence of a meaning, at random."""
    clause = _english(sentence.clause, dice)
    if sentence.opening:
        that = dice.any([" that ", " "])
        return _written(dice.early(sentence.opening[1]) + that + clause)
    if sentence.reason:
        join, reason = dice.early(JOINS), _english(sentence.reason, dice)
        if dice.chance(0.3):
            return _written(f"{join} {reason}, {clause}")
        return _written(f"{clause} {join} {reason}")
    return _written(clause)


def _english(clause: Clause, dice: Dice) -> str:
    subject, thing = (
        " ".join(dice.early(words) for _, words in phrase)
        for phrase in (clause.subject, clause.object)
    )
    base, past, participle = forms(dice.early(clause.verb[1]))
    if clause.modal:
        core = f"{subject} {dice.early(clause.modal[1])} {base} {thing}"
    elif dice.chance(0.3):
        core = f"{thing} was {participle} by {subject}"
    else:
        core = f"{subject} {past} {thing}"
    time, place = (dice.early(part[1]) if part else "" for part in (clause.time, clause.place))
    if time and dice.chance(0.4):
        return f"{time}{dice.any([',', ''])} {core} {place}".rstrip()
    after = [time, place] if dice.chance(0.4) else [place, time]
    return " ".join(part for part in [core, *after] if part)


def forms(verb: str) -> tuple[str, str, str]:
    """Base, past and participle of ``see/saw/seen`` or of a regular verb.

    >>> forms("notice")
    ('notice', 'noticed', 'noticed')
    """
    base, *others = verb.split("/")
    regular = base + ("d" if base.endswith("e") else "ed")
    past, participle = others or (regular, regular)
    return base, past, participle


def _written(text: str) -> str:
    return text[0].upper() + text[1:] + "."
