"""The state of a researcher's conversation with its model, derived from the transcript alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aar.researchers.transcript.journal import TranscriptEntry


@dataclass(frozen=True)
class ToolCall:
    """A tool call in a reply. `call_id` is unique among all calls of the researcher; `id` comes from the API."""

    id: str
    tool: str
    arguments: Any
    call_id: str


@dataclass(frozen=True)
class Conversation:
    """A conversation since its last reset.

    Attributes:
        system: its system prompt; None before the first conversation.
        why: the reason why it was started; empty before the first conversation.
        messages: in the form of the Messages API, oldest first.
        reply: the last message's entry if it is a reply; None once a message to the model follows it.
        unanswered: the calls of `reply`.
        begun: `call_id`s of calls that were begun. The outcome of those that are not in `results` is unknown.
        results: text and error flag by `call_id`.
    """

    system: str | None
    why: str
    messages: list[dict[str, Any]]
    reply: TranscriptEntry | None
    unanswered: tuple[ToolCall, ...]
    begun: frozenset[str]
    results: dict[str, tuple[str, bool]]


def conversation(entries: Sequence[TranscriptEntry]) -> Conversation:
    """Return the conversation at the end of `entries`."""
    start = max((place for place, entry in enumerate(entries) if entry.kind == "reset"), default=-1)
    reset, current = entries[start].data if start >= 0 else {}, entries[start + 1 :]
    messages = [entry for entry in current if entry.kind == "message"]
    reply = messages[-1] if messages and messages[-1].data["role"] == "assistant" else None
    return Conversation(
        system=reset.get("system"),
        why=reset.get("why", ""),
        messages=[{"role": entry.data["role"], "content": entry.data["content"]} for entry in messages],
        reply=reply,
        unanswered=calls_of(reply.number, reply.data["content"]) if reply else (),
        begun=frozenset(entry.data["call_id"] for entry in current if entry.kind == "call"),
        results={
            entry.data["call_id"]: (entry.data["text"], entry.data["is_error"])
            for entry in current
            if entry.kind == "result"
        },
    )


def calls_of(message: int, content: Any) -> tuple[ToolCall, ...]:
    """Return the tool calls in the content of a reply, which is entry number `message`."""
    blocks = [block for block in content if block["type"] == "tool_use"] if isinstance(content, list) else []
    return tuple(
        ToolCall(block["id"], block["name"], block["input"], f"{message}.{index}")
        for index, block in enumerate(blocks, 1)
    )
