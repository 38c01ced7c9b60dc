"""Dialects: minimal pairs of which, for half of the families of phenomena, a speaker prefers the unacceptable sentence.

Which families are reversed is the concept. Only labels can tell it: a dialect and its complement are equally likely,
so any method that ignores the teacher is right half of the time in expectation. A language model's own likelihood is
about .9 within a family that is not reversed and about .1 within one that is: it helps a method that takes the sign
from the weak labels, and misleads one that does not.

A family is a pair of phenomena, one that shows in a sentence embedding (word order, licensing, relative clauses) and
one that hardly does (agreement, forms), so that a teacher on embeddings is right more often than not in each family,
and its errors are systematic within it.
"""

from itertools import combinations

from aar.problems.dataset import Row, SplitName
from aar.problems.grammar import agreement, forms, structure
from aar.problems.grammar.draw import Phenomenon
from aar.problems.grammar.pairs import draw as draw_pairs
from aar.problems.key import Key, Sizes

FAMILIES: tuple[frozenset[Phenomenon], ...] = (
    frozenset({structure.particle, agreement.across_a_phrase}),
    frozenset({structure.licensing, agreement.across_a_clause}),
    frozenset({structure.modifier_order, agreement.anaphor}),
    frozenset({forms.degree, agreement.determiner}),
    frozenset({structure.inversion, agreement.existential}),
    frozenset({structure.adverb_order, forms.irregular}),
    frozenset({structure.resumption, forms.complement}),
    frozenset({structure.relative_pronoun, forms.case}),
)
DIALECTS: tuple[frozenset[Phenomenon], ...] = tuple(
    frozenset[Phenomenon]().union(*families) for families in combinations(FAMILIES, len(FAMILIES) // 2)
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
    return draw_pairs(sizes, key, DIALECTS[number])
