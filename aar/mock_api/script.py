"""Scripts of researchers, replayed from the conversation alone, and of the failures that requests meet.

A scenario is a generator: it yields a reply, receives the texts of the results, and yields the next reply. Each request
replays it from the beginning along the conversation, so the server keeps no state and may be restarted.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ToolUse:
    """One tool call of a reply."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class MockReply:
    """A reply of a scripted researcher: a thought, a text, and tool calls. Without calls its turn ends."""

    text: str = ""
    thinking: str = ""
    calls: tuple[ToolUse, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """A conversation as a request shows it: the researcher's name, and the results after each of its replies."""

    name: str
    results: list[list[str]] = field(default_factory=list)

    @property
    def turn(self) -> int:
        """The number of replies so far."""
        return len(self.results)


Scenario = Generator[MockReply, list[str], None]
Script = Mapping[str, Callable[[], Scenario]]
"""Scenarios by researcher."""

DONE = MockReply("I see nothing left to do.")


def say(text: str = "", *calls: ToolUse, thinking: str = "") -> MockReply:
    """Return a reply."""
    return MockReply(text, thinking, calls)


def use(tool: str, **arguments: Any) -> ToolUse:
    """Return a tool call."""
    return ToolUse(tool, arguments)


def next_reply(scenario: Scenario, conversation: Conversation) -> MockReply:
    """Return the next reply of a scenario in a conversation; DONE when the scenario is over."""
    try:
        reply = next(scenario)
        for results in conversation.results:
            reply = scenario.send(results)
        return reply
    except StopIteration:
        return DONE


Fault = Literal[
    "400", "401", "413", "429", "500", "529", "drop", "cut", "garbage", "overloaded", "slow", "refusal", "max_tokens",
    "too_long",
]  # fmt: skip
"""A status. In the middle of a reply: the connection dropped ("drop"), the stream ended ("cut"), an event that is not
JSON ("garbage"), an error event ("overloaded"). A slow stream. A refused reply, or one cut off at its maximum length. A
prompt that is too long."""

Schedule = Mapping[tuple[str, int], Sequence[Fault]]
"""By researcher and 0-based index of its reply: the faults that its attempts at that reply meet, one after another,
before one succeeds. The researcher "*" stands for all."""

EVERY_KIND: Schedule = {
    ("*", 1): ("429",), ("*", 2): ("529",), ("*", 3): ("500",), ("*", 4): ("drop",), ("*", 5): ("overloaded", "slow"),
    ("*", 6): ("cut",), ("*", 7): ("refusal",),
}  # fmt: skip
"""The faults of `aar rehearse --faults`: every kind that a researcher survives."""


class Faults:
    """Determines the fault of each attempt, by counting the attempts at each reply."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._attempts: Counter[tuple[str, int]] = Counter()

    def next(self, name: str, turn: int) -> Fault | None:
        """Return the fault of a researcher's next attempt at its reply number `turn`; None: it succeeds."""
        faults = self._schedule.get((name, turn)) or self._schedule.get(("*", turn), ())
        attempt = self._attempts[name, turn]
        self._attempts[name, turn] += 1
        return faults[attempt] if attempt < len(faults) else None
