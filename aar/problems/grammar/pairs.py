"""Drawing minimal pairs: phenomena in equal shares, and no sentence twice.

What separates a pair's sentences stands on either side equally often: neither lengths nor bytes nor single words tell
which is acceptable. That is how each phenomenon is written.
"""

from aar.errors import ProblemError
from aar.problems.dataset import Preference, Row, SplitName
from aar.problems.grammar.agreement import AGREEMENT
from aar.problems.grammar.draw import Draw, Phenomenon
from aar.problems.grammar.forms import FORMS
from aar.problems.grammar.structure import STRUCTURE
from aar.problems.key import Key
from aar.problems.partition import Sizes

PHENOMENA: tuple[Phenomenon, ...] = AGREEMENT + FORMS + STRUCTURE
DEFAULT_SIZES: dict[SplitName, int] = {"train_label": 300, "train_unlabel": 1200, "test": 1000}
LARGEST = 200_000
"""The most pairs of one split: far below what the phenomena can give."""


def draw(sizes: Sizes, key: Key) -> dict[SplitName, list[Row]]:
    """So many pairs of each split, the same for the same key and sizes.

    No sentence, acceptable or not, stands in two pairs, in whichever split. The test set does not depend on the sizes
    of the others, and a larger one begins with the smaller one.

    Raises:
        ProblemError: more than LARGEST pairs are asked for.
    """
    seen: set[str] = set()
    return {split: _drawn(split, sizes[split], key, seen) for split in ("test", "train_unlabel", "train_label")}


def _drawn(split: SplitName, size: int | None, key: Key, seen: set[str]) -> list[Row]:
    """Pairs of sentences that are not in `seen`, which they are added to."""
    size = DEFAULT_SIZES[split] if size is None else size
    if size > LARGEST:
        raise ProblemError(f"minimal-pairs: {size} rows asked for in {split}; at most {LARGEST} are given.")
    choices = Draw(key.stream("minimal-pairs", split).random)
    rows: list[Row] = []
    while len(rows) < size:
        good, bad = choices.one(PHENOMENA)(choices)
        second = choices.often()
        if seen.isdisjoint((good, bad)):
            seen.update((good, bad))
            rows.append((Preference("", bad, good), 1) if second else (Preference("", good, bad), 0))
    return rows
