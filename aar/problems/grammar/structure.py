"""Phenomena of word order, licensing, and what may be left out or moved."""

from aar.problems.grammar.draw import EVERYONE, Draw, Pair, Phenomenon, framed, number, someone
from aar.problems.grammar.lexicon import (
    EXPERIENCES,
    MANNERS,
    PAST_TIMES,
    PEOPLE_ADJECTIVES,
    PEOPLE_VERBS,
    PLACES,
    THING_ADJECTIVES,
    THING_VERBS,
    THINGS,
    THINKING,
)

_DEGREES = ("very", "rather", "extremely", "unusually", "fairly")
_PARTICLE_VERBS = (
    "picked up",
    "threw away",
    "put down",
    "gave back",
    "took out",
    "brought in",
    "sent off",
    "turned over",
    "took away",
    "put away",
    "brought back",
    "handed over",
)


def adverb_order(draw: Draw) -> Pair:
    """The girl quickly opened the box / *opened quickly the box."""
    subject, manner, past = someone(draw, plural=draw.often()), draw.one(MANNERS), draw.one(THING_VERBS).past
    thing = f"the {draw.one(THING_ADJECTIVES)} {draw.one(THINGS).singular} {draw.one(PLACES)}"
    return framed(draw, f"{subject} {manner} {past} {thing}", f"{subject} {past} {manner} {thing}")


def modifier_order(draw: Draw) -> Pair:
    """The very old king / *the old very king; the young king / *the king young; has never met / *has met never."""
    noun, adjective, degree = draw.one(EVERYONE).singular, draw.one(PEOPLE_ADJECTIVES), draw.one(_DEGREES)
    past, never, place = draw.one(PEOPLE_VERBS).past, draw.one(("never", "always", "often", "rarely")), draw.one(PLACES)
    if draw.often(0.3):
        lead, tail = f"the {adjective} {noun} has", f"{someone(draw, plural=True)} {place}"
        return framed(draw, f"{lead} {never} {past} {tail}", f"{lead} {past} {never} {tail}")
    good, bad = f"{adjective} {noun}", f"{noun} {adjective}"
    if draw.often():
        good, bad = f"{degree} {adjective} {noun}", f"{adjective} {degree} {noun}"
    lead = f"{someone(draw, plural=draw.often())} {past} the"
    return framed(draw, f"{lead} {good} {place}", f"{lead} {bad} {place}")


def particle(draw: Draw) -> Pair:
    """The lamp was dirty, so the boy picked it up / *picked up it."""
    things, subject = draw.one(THINGS).plural, someone(draw, plural=draw.often())
    verb, up = draw.one(_PARTICLE_VERBS).split()
    lead = f"the {draw.one(THING_ADJECTIVES)} {things} were {draw.one(PLACES)}, so {subject} {verb}"
    time = draw.one(PAST_TIMES)
    return framed(draw, f"{lead} them {up} {time}", f"{lead} {up} them {time}")


def inversion(draw: Draw) -> Pair:
    """He asked why the boy will wait / *why will the boy wait; why will the boy wait? / *why the boy will wait?"""
    subject = f"the {draw.one(PEOPLE_ADJECTIVES)} {draw.one(EVERYONE).singular}"
    helper = draw.one(("can", "will", "could", "would", "should"))
    doing = f"{draw.one(PEOPLE_VERBS).base} {someone(draw, plural=draw.often())} {draw.one(PLACES)}"
    where = draw.one(("when", "why", "how", "how often"))
    straight, inverted = f"{where} {subject} {helper} {doing}", f"{where} {helper} {subject} {doing}"
    if draw.often():
        return framed(draw, inverted, straight, "?")
    asking = f"{someone(draw)} {draw.one(('wonders', 'knows', 'asked', 'forgot', 'explained', 'described'))}"
    return framed(draw, f"{asking} {straight}", f"{asking} {inverted}")


def licensing(draw: Draw) -> Pair:
    """He said that no poet that the king met has ever ... / *that the poet that no king met has ever ..."""
    head, other = draw.two(EVERYONE)
    past, done = draw.one(PEOPLE_VERBS).past, draw.one(EXPERIENCES)
    plural = draw.often()
    outer, inner, has = number(head, plural), number(other, draw.often()), "have" if plural else "has"
    clause = draw.one((f"that {{}} {inner} {past}", f"who {past} {{}} {inner}", f"standing next to {{}} {inner}"))
    tail = f"{has} ever {done}"
    lead = f"{someone(draw)} {draw.one(THINKING).past} that"  # the word that decides is never the first of a sentence
    good = f"{lead} no {outer} {clause.replace('{}', 'the')} {tail}"
    return framed(draw, good, f"{lead} the {outer} {clause.replace('{}', 'no')} {tail}")


def resumption(draw: Draw) -> Pair:
    """The lamp that the boy used was cheap / *the lamp that the boy used it was cheap; the boy used it / *used."""
    thing, verb = draw.one(THINGS), draw.one(THING_VERBS)
    subject, place = someone(draw), draw.one(PLACES)
    lamp = f"the {draw.one(THING_ADJECTIVES)} {thing.singular}"
    if draw.often():
        tail = f"was {draw.one(THING_ADJECTIVES)}"
        return framed(
            draw,
            f"{lamp} that {subject} {verb.past} {place} {tail}",
            f"{lamp} that {subject} {verb.past} it {place} {tail}",
        )
    lead = f"{lamp} was {place}, and {subject}"
    time = draw.one(PAST_TIMES)
    return framed(draw, f"{lead} {verb.past} it {time}", f"{lead} {verb.past} {time}")


def relative_pronoun(draw: Draw) -> Pair:
    """The lamp which/*who the king bought; the poet who/*which the king met."""
    person = draw.often()
    noun = f"the {draw.one(EVERYONE if person else THINGS).singular}"
    verb = draw.one(PEOPLE_VERBS if person else THING_VERBS).past
    clause = f"{someone(draw)} {verb} {draw.one(PAST_TIMES)}"
    tail = f"was {draw.one(PLACES)}"
    good, bad = ("who", "which") if person else ("which", "who")
    return framed(draw, f"{noun} {good} {clause} {tail}", f"{noun} {bad} {clause} {tail}")


STRUCTURE: tuple[Phenomenon, ...] = (
    adverb_order,
    modifier_order,
    particle,
    inversion,
    licensing,
    resumption,
    relative_pronoun,
)
