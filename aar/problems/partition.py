"""Which split a row belongs to, and in which order rows are drawn: secrets of the campaign's key.

A row's region follows from the key and the row's texts whatever their order, so that it says nothing about which of
them is the better one. No row is in two splits, whatever their sizes, and the size of one does not change another.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from aar.problems.dataset import SplitName
from aar.problems.key import Key, Stream

T = TypeVar("T")
Sizes = Mapping[SplitName, int | None]
"""How many rows of each split are asked for; None: as many as are usual for the source."""

_SIXTEENTHS: tuple[SplitName, ...] = (*("train_label",) * 2, *("train_unlabel",) * 6, *("test",) * 8)


def region(key: Key, *texts: str) -> SplitName:
    """Where the row with these texts belongs."""
    return _SIXTEENTHS[key.digest("region", *sorted(texts))[0] % 16]


def sample(rows: Sequence[T], size: int | None, stream: Stream) -> list[T]:
    """`size` of the rows (None: all) without replacement, in random order; a larger sample begins with the smaller."""
    return [rows[at] for at in stream.order(len(rows))[:size]]
