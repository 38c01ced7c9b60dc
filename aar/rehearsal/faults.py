"""Failures that can be rehearsed, and when they happen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

Fault = Literal[
    "400", "401", "413", "429", "500", "529", "drop", "cut", "garbage", "overloaded", "slow", "refusal", "max_tokens",
    "too_long",
]  # fmt: skip
"""A status; the connection dropped, or the stream ended, in the middle of a reply; an event that is no JSON; an error
event in the stream; a stream that takes its time; a reply that is withheld, or cut off at its longest; a prompt that is
too long."""

Schedule = Mapping[tuple[str, int], Sequence[Fault]]
"""By researcher and number of its reply, from 0: what its attempts at that reply meet, one after another, before one
succeeds. The researcher "*" stands for each."""

FAULTS: tuple[Fault, ...] = get_args(Fault)
EVERY_KIND: Schedule = {
    ("*", 1): ("429",), ("*", 2): ("529",), ("*", 3): ("500",), ("*", 4): ("drop",), ("*", 5): ("overloaded", "slow"),
    ("*", 6): ("cut",), ("*", 7): ("refusal",),
}  # fmt: skip
"""What `aar rehearse --faults` lets happen: something of every kind that a researcher survives."""


class Faults:
    """Says what an attempt meets, by counting the attempts at each reply."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._attempts: Counter[tuple[str, int]] = Counter()

    def next(self, name: str, turn: int) -> Fault | None:
        """What the next attempt of a researcher at its reply number `turn` meets; None: it succeeds."""
        due = self._schedule.get((name, turn)) or self._schedule.get(("*", turn), ())
        attempt = self._attempts[name, turn]
        self._attempts[name, turn] += 1
        return due[attempt] if attempt < len(due) else None
