"""Which split a row belongs to, and in which order rows are drawn.

A source that can be drawn from anew gives every row to one region for ever, by the digest of the row's text. So no row
is in two splits, whatever sizes and seeds they are drawn with, and the size of one split does not change another.
"""

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

from aar.problems.dataset import SplitName

T = TypeVar("T")

_SIXTEENTHS: tuple[SplitName, ...] = (*("train_label",) * 2, *("train_unlabel",) * 6, *("test",) * 8)


def region(text: str) -> SplitName:
    """Where the row with this text belongs."""
    return _SIXTEENTHS[hashlib.sha256(text.encode()).digest()[0] % 16]


def generator(seed: int, purpose: str) -> random.Random:
    """A random stream of its own for each seed and purpose, the same in every process and Python version."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def sample(rows: Sequence[T], size: int, seed: int, purpose: str) -> list[T]:
    """`size` of the rows without replacement, in random order; a larger sample begins with the smaller one."""
    rng = generator(seed, purpose)
    keys = [rng.random() for _ in rows]
    return [rows[at] for at in sorted(range(len(rows)), key=keys.__getitem__)[:size]]
