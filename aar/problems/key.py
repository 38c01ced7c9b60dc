"""A campaign's key: the secret that decides whatever would otherwise follow from public data.

Which rows are drawn, which split and which part of the test set a row belongs to, on which side the better text stands,
how labels are shuffled, and which seeds experiments run on, all come from streams of this key. It is drawn by the
operating system once per campaign, held by the scorer alone and kept in its database, so that a campaign goes on as it
began and two campaigns of the same file have different test sets.

Protected: from any number of outputs of a stream (the texts of a training set are made of them) nobody can compute its
other outputs (the labels), as they could with the generators of `random` and numpy. Purposes share nothing.
Not protected: labels that are public by themselves, as those of a published data set are.
"""

import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass, field

KEY_BYTES = 32
_PER_BLOCK = 64
_BLOCK = struct.Struct(f">{_PER_BLOCK}Q")


@dataclass(frozen=True)
class Key:
    """A secret; it stands in no representation, so that no log or error has it."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "Key":
        """A key that nobody has seen."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def digest(self, *words: str) -> bytes:
        """32 bytes that follow from the key and `words`, and from nothing else."""
        message = b"".join(struct.pack(">Q", len(text)) + text for text in (word.encode() for word in words))
        return hmac.digest(self.secret, message, "sha256")

    def derived(self, *purpose: str) -> "Key":
        """The key of one part, such as one dataset."""
        return Key(self.digest("key", *purpose))

    def stream(self, *purpose: str) -> "Stream":
        """Random numbers for one purpose, the same in every process and Python version."""
        return Stream(self.digest("stream", *purpose))


class Stream:
    """Random numbers from SHAKE-256 in counter mode."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._blocks = seed, 0
        self._ready: list[int] = []

    def random(self) -> float:
        """The next number, uniform in [0, 1)."""
        if not self._ready:
            block = hashlib.shake_256(self._seed + struct.pack(">Q", self._blocks)).digest(_BLOCK.size)
            self._blocks += 1
            self._ready = list(_BLOCK.unpack(block))
        return (self._ready.pop() >> 11) * 2.0**-53

    def order(self, count: int) -> list[int]:
        """The numbers below `count` in random order."""
        places = [self.random() for _ in range(count)]
        return sorted(range(count), key=places.__getitem__)
