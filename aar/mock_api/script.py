"""Scripts: who says what, told from the conversation alone.

A part is a generator: it yields a reply, gets the texts of what came back, and yields the next. For every request it is
played again from the beginning along the conversation, so that the server keeps nothing and may be restarted.

Failures that can be rehearsed, and when they happen.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args


@dataclass(frozen=True)
class ToolUse:
    """One tool call of a reply."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class MockReply:
    """What a scripted researcher says: a thought, a text, and tool calls. Without calls its turn ends."""

    text: str = ""
    thinking: str = ""
    calls: tuple[ToolUse, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a request shows of a conversation: whose it is, how many replies it has, and what came back on each."""

    name: str
    results: list[list[str]] = field(default_factory=list)

    @property
    def turn(self) -> int:
        """How many replies there are already."""
        return len(self.results)


Scenario = Generator[MockReply, list[str], None]
Script = Mapping[str, Callable[[], Scenario]]
"""Parts by researcher."""

DONE = MockReply("I see nothing left to do.")


def say(text: str = "", *calls: ToolUse, thinking: str = "") -> MockReply:
    """A reply."""
    return MockReply(text, thinking, calls)


def use(tool: str, **arguments: Any) -> ToolUse:
    """A tool call."""
    return ToolUse(tool, arguments)


def next_reply(part: Scenario, seen: Seen) -> MockReply:
    """What comes next in a part, after what was seen; DONE when it is over."""
    try:
        reply = next(part)
        for results in seen.results:
            reply = part.send(results)
        return reply
    except StopIteration:
        return DONE


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
