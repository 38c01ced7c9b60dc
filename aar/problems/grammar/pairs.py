"""Drawing minimal pairs: phenomena in equal shares, every pair once, each in the split it belongs to."""

from aar.errors import ProblemError
from aar.problems.dataset import Preference, Row, SplitName
from aar.problems.grammar.agreement import AGREEMENT
from aar.problems.grammar.draw import Draw, Phenomenon
from aar.problems.grammar.forms import FORMS
from aar.problems.grammar.structure import STRUCTURE
from aar.problems.partition import generator, region

PHENOMENA: tuple[Phenomenon, ...] = AGREEMENT + FORMS + STRUCTURE
DEFAULT_SIZES: dict[SplitName, int] = {"train_label": 300, "train_unlabel": 1200, "test": 1000}
LARGEST = 200_000
"""The most pairs of one split: far below what the phenomena can give."""


def draw(where: SplitName, size: int | None, seed: int) -> list[Row]:
    """`size` pairs of one region, the same for the same seed; a larger draw begins with the smaller one.

    No acceptable sentence is drawn twice, and none that is drawn in one region is ever drawn in another.

    Raises:
        ProblemError: more than LARGEST pairs are asked for.
    """
    size = DEFAULT_SIZES[where] if size is None else size
    if size > LARGEST:
        raise ProblemError(f"minimal-pairs: {size} rows asked for in {where}; at most {LARGEST} are given.")
    choices = Draw(generator(seed, f"minimal-pairs/{where}"))
    rows: dict[str, Row] = {}
    while len(rows) < size:
        good, bad = choices.one(PHENOMENA)(choices)
        second = choices.often()
        if region(good) == where and good not in rows:
            rows[good] = (Preference("", bad, good), 1) if second else (Preference("", good, bad), 0)
    return list(rows.values())
