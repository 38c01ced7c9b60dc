"""Phenomena in which a word must have the form that its place in the sentence requires."""

from aar.problems.grammar.draw import EVERYONE, Draw, Pair, Phenomenon, framed, someone
from aar.problems.grammar.lexicon import (
    IRREGULAR_VERBS,
    LONE_VERBS,
    PEOPLE_VERBS,
    PLACES,
    THING_VERBS,
    THINGS,
)

_BARE = ("made", "let", "saw", "heard", "watched")
_INFINITIVE = ("told", "asked", "forced", "expected", "allowed", "wanted", "ordered", "advised")
_COMPARED = ("tall", "old", "young", "rich", "quiet", "proud", "strong", "weak", "fast", "slow", "kind", "short")


def irregular(draw: Draw) -> Pair:
    """The farmer had broken/*broke it; the farmer broke/*broken it."""
    verb = draw.one(IRREGULAR_VERBS)
    subject, place = someone(draw, plural=draw.often()), draw.one(PLACES)
    if draw.often():
        lead = f"{subject} {draw.one(('had', 'had never', 'had already', 'could have', 'must have', 'should have'))}"
        good, bad = verb.participle, verb.past
    else:
        lead = f"{subject} {draw.one(('then', 'also', 'never', 'once', 'often', 'soon', 'almost'))}"
        good, bad = verb.past, verb.participle
    return framed(draw, f"{lead} {good} {verb.object} {place}", f"{lead} {bad} {verb.object} {place}")


def complement(draw: Draw) -> Pair:
    """The coach made the boy wait / *to wait; the coach told the boy to wait / *wait."""
    doing, bare = draw.one(LONE_VERBS).base, draw.often()
    if draw.often():
        doing = f"{draw.one(THING_VERBS).base} the {draw.one(THINGS).singular}"
    lead = f"{someone(draw)} {draw.one(_BARE if bare else _INFINITIVE)} {someone(draw, plural=draw.often())}"
    good, bad = (doing, f"to {doing}") if bare else (f"to {doing}", doing)
    place = draw.one(PLACES)
    return framed(draw, f"{lead} {good} {place}", f"{lead} {bad} {place}")


def case(draw: Draw) -> Pair:
    """She/*her and the poet left; the poet thanked her/*she and the king."""
    subject, object_ = draw.one((("he", "him"), ("she", "her"), ("they", "them"), ("we", "us"), ("I", "me")))
    first, second = someone(draw), someone(draw, plural=draw.often())
    past, place = draw.one(PEOPLE_VERBS).past, draw.one(PLACES)
    template, nominative = draw.one(
        (
            (f"{first} and {{}} {past} {second} {place}", True),
            (f"{first} said that {{}} {past} {second} {place}", True),
            (f"{second} that {{}} {past} saw {first} {place}", True),
            (f"{first} {past} {second} and {{}} {place}", False),
            (f"there was an argument between {first} and {{}} {place}", False),
            (f"{second} near {{}} {past} {first} {place}", False),
        )
    )
    good, bad = (subject, object_) if nominative else (object_, subject)
    return framed(draw, template.replace("{}", good), template.replace("{}", bad))


def degree(draw: Draw) -> Pair:
    """The poet is taller/*tallest than the king; the tallest/*taller of all the poets."""
    adjective, (first, second) = draw.one(_COMPARED), draw.two(EVERYONE)
    more, most, place = f"{adjective}er", f"{adjective}est", draw.one(PLACES)
    if draw.often():
        lead, tail = f"the {first.singular} {place} is", f"than the {second.singular} from the village"
        return framed(draw, f"{lead} {more} {tail}", f"{lead} {most} {tail}")
    lead, tail = f"the {first.singular} is the", f"of all the {second.plural} {place}"
    return framed(draw, f"{lead} {most} {tail}", f"{lead} {more} {tail}")


FORMS: tuple[Phenomenon, ...] = (irregular, complement, case, degree)
