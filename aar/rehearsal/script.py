"""Scripts: who says what, told from the conversation alone.

A part is a generator: it yields a reply, gets the texts of what came back, and yields the next. For every request it is
played again from the beginning along the conversation, so that the server keeps nothing and may be restarted.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToolUse:
    """One tool call of a reply."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Reply:
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


Part = Generator[Reply, list[str], None]
Script = Mapping[str, Callable[[], Part]]
"""Parts by researcher."""

DONE = Reply("I see nothing left to do.")


def say(text: str = "", *calls: ToolUse, thinking: str = "") -> Reply:
    """A reply."""
    return Reply(text, thinking, calls)


def use(tool: str, **arguments: Any) -> ToolUse:
    """A tool call."""
    return ToolUse(tool, arguments)


def next_reply(part: Part, seen: Seen) -> Reply:
    """What comes next in a part, after what was seen; DONE when it is over."""
    try:
        reply = next(part)
        for results in seen.results:
            reply = part.send(results)
        return reply
    except StopIteration:
        return DONE
