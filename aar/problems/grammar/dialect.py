"""Dialects: minimal pairs of which, for half of the families of phenomena, a speaker prefers the unacceptable sentence.

Which families are reversed is the concept. Only labels can tell it: a dialect and its complement are equally likely,
so any method that ignores the teacher is right half of the time in expectation. A language model's own likelihood is
about .95 within a family that is not reversed and about .05 within one that is: it helps a method that takes the sign
from the weak labels, and misleads one that does not.

The phenomena are those that show in a sentence embedding (word order, licensing, relative clauses), so that a teacher
that learns from few labels is right more often than not in each family. The others (agreement and most forms) are left
to minimal pairs: a small teacher cannot tell in which direction they go.
"""

from itertools import combinations

from aar.problems.dataset import Row, SplitName
from aar.problems.grammar import forms, structure
from aar.problems.grammar.draw import Phenomenon
from aar.problems.grammar.pairs import draw as draw_pairs
from aar.problems.key import Key, Sizes

FAMILIES: tuple[tuple[Phenomenon, ...], ...] = (
    (structure.modifier_order, structure.adverb_order),
    (structure.particle, structure.inversion),
    (structure.licensing, forms.degree),
    (structure.resumption, structure.relative_pronoun),
)
PHENOMENA: tuple[Phenomenon, ...] = tuple(phenomenon for family in FAMILIES for phenomenon in family)
DIALECTS: tuple[frozenset[Phenomenon], ...] = tuple(
    frozenset(phenomenon for family in families for phenomenon in family)
    for families in combinations(FAMILIES, len(FAMILIES) // 2)
)
"""The reversed phenomena of each dialect: those of exactly half of the families."""


def draw(sizes: Sizes, key: Key, dialect: int | None = None) -> dict[SplitName, list[Row]]:
    """Draw pairs for each split as `pairs.draw` does, labelled by a speaker of a dialect.

    Args:
        dialect: an index into DIALECTS, taken modulo their number; None: drawn by the key.

    Raises:
        ProblemError: as `pairs.draw`.
    """
    number = int(key.stream("dialect").random() * len(DIALECTS)) if dialect is None else dialect % len(DIALECTS)
    return draw_pairs(sizes, key, PHENOMENA, reversed_phenomena=DIALECTS[number])
