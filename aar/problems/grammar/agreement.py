"""Phenomena in which two words must agree while another word between or near them invites a mistake."""

from aar.problems.grammar.draw import EVERYONE, Draw, Pair, Phenomenon, article, framed, number, someone
from aar.problems.grammar.lexicon import (
    EXPERIENCES,
    FREQUENCIES,
    HABITS,
    MEN,
    NEAR,
    PAST_TIMES,
    PEOPLE_ADJECTIVES,
    PEOPLE_VERBS,
    PLACES,
    PREDICATES,
    THING_ADJECTIVES,
    THING_PREDICATES,
    THING_VERBS,
    THINGS,
    THINKING,
    WOMEN,
)

Forms = tuple[str, str]
"""The singular and the plural form of the same verb."""

_BE: tuple[Forms, ...] = (("is", "are"), ("was", "were"))


def across_a_phrase(draw: Draw) -> Pair:
    """The key to the cabinets is/are ..."""
    nouns, adjectives = (THINGS, THING_ADJECTIVES) if draw.often() else (EVERYONE, PEOPLE_ADJECTIVES)
    head, other = draw.two(nouns)
    plural = draw.often()
    subject = f"the {draw.one(adjectives)} {number(head, plural)}"
    attractor = f"{draw.one(NEAR)} the {number(other, plural if draw.often(0.2) else not plural)}"
    forms, rest = (draw.one(_BE), draw.one(THING_PREDICATES)) if nouns is THINGS else _person_does(draw)
    return _agreeing(draw, f"{subject} {attractor}", plural, forms, rest)


def across_a_clause(draw: Draw) -> Pair:
    """The senator who admired the lawyers is/are ..."""
    head, other = draw.two(EVERYONE)
    plural, past = draw.often(), draw.one(PEOPLE_VERBS).past
    distractor = f"the {number(other, plural if draw.often(0.2) else not plural)}"
    clause = draw.one((f"who {past} {distractor}", f"that {distractor} {past}", f"who {distractor} had {past}"))
    forms, rest = _person_does(draw)
    return _agreeing(draw, f"the {number(head, plural)} {clause}", plural, forms, rest)


def anaphor(draw: Draw) -> Pair:
    """The kings who met the actress praised themselves/himself."""
    male, plural = draw.often(), draw.often()
    antecedent = f"the {number(draw.one(MEN if male else WOMEN), plural)}"
    distractor = f"the {number(draw.one(EVERYONE), plural if draw.often(0.2) else not plural)}"
    past, other = (verb.past for verb in draw.two(PEOPLE_VERBS))
    lead = draw.one(
        (
            f"{antecedent} {draw.one(NEAR)} {distractor} {past}",
            f"{antecedent}, who {other} {distractor}, {past}",
            f"{distractor} {draw.one(THINKING).past} that {antecedent} {past}",
            f"{distractor} {other} {antecedent}, who often {past}",
        )
    )
    good, bad = _in_order(("himself" if male else "herself", "themselves"), plural)
    place = draw.one(PLACES)
    return framed(draw, f"{lead} {good} {place}", f"{lead} {bad} {place}")


def determiner(draw: Draw) -> Pair:
    """These old lamps / *this old lamps, or *these old lamp."""
    noun, other = draw.two(THINGS)
    plural = draw.often()
    pair = draw.one((("this", "these"), ("that", "those"), ("every", "several"), ("each", "both")))
    adjective = f"{draw.one(THING_ADJECTIVES)} " if draw.often(0.75) else ""
    good, wrong_determiner = pair[plural], pair[not plural]
    before = f"{someone(draw, plural=draw.often())} {draw.one(THING_VERBS).past}"
    after = f"{draw.one(NEAR)} the {number(other, not plural)} {draw.one(PAST_TIMES)}"
    bad = f"{wrong_determiner} {adjective}{number(noun, plural)}"
    if draw.often():
        bad = f"{good} {adjective}{number(noun, not plural)}"
    return framed(draw, f"{before} {good} {adjective}{number(noun, plural)} {after}", f"{before} {bad} {after}")


def existential(draw: Draw) -> Pair:
    """There was/were a lamp near the chairs."""
    noun, other = draw.two(THINGS)
    plural, place = draw.often(), draw.one(PLACES)
    phrase = f"{draw.one(THING_ADJECTIVES)} {number(noun, plural)}"
    tail = f"{draw.one(NEAR)} the {number(other, not plural)} {place}"
    verb, wrong = _in_order(draw.one((*_BE, ("has been", "have been"))), plural)
    weak = draw.one(("two", "many", "some", "several", "a few")) if plural else ""
    amount = f"{weak} {phrase}" if weak else article(phrase)
    return framed(draw, f"there {verb} {amount} {tail}", f"there {wrong} {amount} {tail}")


def _agreeing(draw: Draw, subject: str, plural: bool, forms: Forms, rest: str) -> Pair:
    good, bad = _in_order(forms, plural)
    return framed(draw, f"{subject} {good} {rest}", f"{subject} {bad} {rest}")


def _in_order(forms: Forms, plural: bool) -> tuple[str, str]:
    """Return the agreeing form, and the other one."""
    return (forms[1], forms[0]) if plural else forms


def _person_does(draw: Draw) -> tuple[Forms, str]:
    """Choose what a person is, has done or does: both forms of the verb, and the words after it."""
    which = draw.one(("is", "has", "does"))
    if which == "is":
        return draw.one(_BE), draw.one(PREDICATES)
    if which == "has":
        return ("has", "have"), draw.one(EXPERIENCES)
    return draw.one(HABITS), f"{draw.one(PLACES)} {draw.one(FREQUENCIES)}"


AGREEMENT: tuple[Phenomenon, ...] = (
    across_a_phrase,
    across_a_clause,
    anaphor,
    determiner,
    existential,
)
