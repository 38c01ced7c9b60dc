"""A campaign's key: the secret that decides everything that would otherwise follow from public data.

Streams of this key decide which rows are drawn, which split and which part of the test set a row belongs to, on which
side the better text is, how labels are shuffled, and which seeds experiments run on. The operating system draws the key
once per campaign. Only the scorer holds it, and keeps it in its database, so that a campaign resumes with the same
data, and two campaigns of the same file have different test sets.

A row's split follows from the key and the row's texts, in either order, so that it does not reveal which of them is
the better one. No row is in two splits, whatever their sizes, and the size of one does not change another.

Protected: from any number of outputs of a stream (the texts of a training set are made of them) nobody can compute its
other outputs (the labels), as they could with the generators of `random` and numpy. Purposes share nothing.
Not protected: labels that are public already, such as those of a published dataset.
"""

import hashlib
import hmac
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aar.problems.dataset import SplitName

T = TypeVar("T")
Sizes = Mapping[SplitName, int | None]
"""The number of rows to draw for each split; None: the usual number for the source."""

KEY_BYTES = 32
_PER_BLOCK = 64
_BLOCK = struct.Struct(f">{_PER_BLOCK}Q")
_SIXTEENTHS: tuple[SplitName, ...] = (*("train_label",) * 2, *("train_unlabel",) * 6, *("test",) * 8)


@dataclass(frozen=True)
class Key:
    """A secret. Its representation does not show it, so that no log or error does."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "Key":
        """Draw a new key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def digest(self, *words: str) -> bytes:
        """Return 32 bytes that follow from the key and `words`, and from nothing else."""
        message = b"".join(struct.pack(">Q", len(text)) + text for text in (word.encode() for word in words))
        return hmac.digest(self.secret, message, "sha256")

    def derived(self, *purpose: str) -> "Key":
        """Return the key for one part, such as one dataset."""
        return Key(self.digest("key", *purpose))

    def stream(self, *purpose: str) -> "Stream":
        """Return random numbers for one purpose, the same in every process and Python version."""
        return Stream(self.digest("stream", *purpose))


class Stream:
    """Random numbers from SHAKE-256 in counter mode."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._blocks = seed, 0
        self._ready: list[int] = []

    def random(self) -> float:
        """Return the next number, uniform in [0, 1)."""
        if not self._ready:
            block = hashlib.shake_256(self._seed + struct.pack(">Q", self._blocks)).digest(_BLOCK.size)
            self._blocks += 1
            self._ready = list(_BLOCK.unpack(block))
        return (self._ready.pop() >> 11) * 2.0**-53

    def order(self, count: int) -> list[int]:
        """Return the numbers below `count` in random order."""
        ranks = [self.random() for _ in range(count)]
        return sorted(range(count), key=ranks.__getitem__)


def region(key: Key, *texts: str) -> SplitName:
    """Return the split to which the row with these texts belongs."""
    return _SIXTEENTHS[key.digest("region", *sorted(texts))[0] % 16]


def sample(rows: Sequence[T], size: int | None, stream: Stream) -> list[T]:
    """Return `size` rows (None: all) without replacement, in random order; a larger sample begins with the smaller."""
    return [rows[at] for at in stream.order(len(rows))[:size]]
