"""Where a researcher's conversation with its model stands, told from the transcript alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aar.researchers.transcript.entries import TranscriptEntry


@dataclass(frozen=True)
class ToolCall:
    """A call that a reply asks for. `call_id` names its place in the researcher's life, and no other call has it."""

    id: str
    tool: str
    arguments: Any
    call_id: str


@dataclass(frozen=True)
class Conversation:
    """A conversation since it last began.

    Attributes:
        system: its system prompt; None before the first conversation.
        messages: as the Messages API takes them, oldest first.
        unanswered: the calls of a last reply whose results were not put into a message yet.
        begun: ids of calls that were begun; what came of those that are not in `results` is unknown.
        results: texts and whether they are errors, by call_id.
    """

    system: str | None
    messages: list[dict[str, Any]]
    unanswered: tuple[ToolCall, ...]
    begun: frozenset[str]
    results: dict[str, tuple[str, bool]]


def conversation(entries: Sequence[TranscriptEntry]) -> Conversation:
    """The conversation as it stands at the end of `entries`."""
    since = max((place for place, entry in enumerate(entries) if entry.kind == "reset"), default=-1)
    current = entries[since + 1 :]
    told = [entry for entry in current if entry.kind == "message"]
    open_calls = calls_of(told[-1].number, told[-1].data["content"]) if told and _is_reply(told[-1]) else ()
    return Conversation(
        system=entries[since].data["system"] if since >= 0 else None,
        messages=[{"role": entry.data["role"], "content": entry.data["content"]} for entry in told],
        unanswered=open_calls,
        begun=frozenset(entry.data["call_id"] for entry in current if entry.kind == "call"),
        results={
            entry.data["call_id"]: (entry.data["text"], entry.data["is_error"])
            for entry in current
            if entry.kind == "result"
        },
    )


def calls_of(message: int, content: Any) -> tuple[ToolCall, ...]:
    """The tool calls in the content of the reply that is entry number `message`."""
    blocks = [block for block in content if block["type"] == "tool_use"] if isinstance(content, list) else []
    return tuple(
        ToolCall(block["id"], block["name"], block["input"], f"{message}.{index}")
        for index, block in enumerate(blocks, 1)
    )


def _is_reply(entry: TranscriptEntry) -> bool:
    return bool(entry.data["role"] == "assistant")
