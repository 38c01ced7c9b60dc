"""Draws minimal pairs: phenomena in equal shares, and no sentence twice.

Each phenomenon is written so that the difference between a pair's sentences is on either side equally often: neither
lengths nor bytes nor single words reveal which sentence is acceptable.
"""

from collections.abc import Collection, Sequence

from aar.errors import ProblemError
from aar.problems.dataset import Preference, Row, SplitName
from aar.problems.grammar.agreement import AGREEMENT
from aar.problems.grammar.draw import Draw, Phenomenon
from aar.problems.grammar.forms import FORMS
from aar.problems.grammar.structure import STRUCTURE
from aar.problems.key import Key, Sizes

PHENOMENA: tuple[Phenomenon, ...] = AGREEMENT + FORMS + STRUCTURE
DEFAULT_SIZES: dict[SplitName, int] = {"train_label": 300, "train_unlabel": 1200, "test": 1000}
LARGEST = 200_000
"""Pairs of one split, at most: far below what the phenomena can give."""


def draw(
    sizes: Sizes,
    key: Key,
    phenomena: Sequence[Phenomenon] = PHENOMENA,
    reversed_phenomena: Collection[Phenomenon] = frozenset(),
) -> dict[SplitName, list[Row]]:
    """Draw pairs for each split, the same for the same key and sizes.

    No sentence, acceptable or not, is in two pairs of any splits. The test set does not depend on the sizes of the
    other splits, and a larger one begins with the smaller one.

    Args:
        phenomena: those of which pairs are drawn, in equal shares.
        reversed_phenomena: those of which the unacceptable sentence counts as the better one.

    Raises:
        ProblemError: more than LARGEST pairs are requested.
    """
    seen: set[str] = set()
    return {
        split: _drawn(split, sizes[split], key, phenomena, reversed_phenomena, seen)
        for split in ("test", "train_unlabel", "train_label")
    }


def _drawn(
    split: SplitName,
    size: int | None,
    key: Key,
    phenomena: Sequence[Phenomenon],
    reversed_phenomena: Collection[Phenomenon],
    seen: set[str],
) -> list[Row]:
    """Draw pairs of sentences that are not in `seen`, and add them to it."""
    size = DEFAULT_SIZES[split] if size is None else size
    if size > LARGEST:
        raise ProblemError(f"minimal-pairs: {size} rows asked for in {split}; at most {LARGEST} are given.")
    choices = Draw(key.stream("minimal-pairs", split).random)
    rows: list[Row] = []
    while len(rows) < size:
        phenomenon = choices.one(phenomena)
        better, worse = phenomenon(choices)
        if phenomenon in reversed_phenomena:
            better, worse = worse, better
        second = choices.often()
        if seen.isdisjoint((better, worse)):
            seen.update((better, worse))
            rows.append((Preference("", worse, better), 1) if second else (Preference("", better, worse), 0))
    return rows
