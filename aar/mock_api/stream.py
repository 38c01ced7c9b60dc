"""A reply as the events of the Messages API's stream."""

import json
import math
from collections.abc import Iterator
from typing import Any

from aar.mock_api.conversation import signature
from aar.mock_api.script import MockReply, Seen

PIECE = 40
CHARACTERS_PER_TOKEN = 4
Event = tuple[str, dict[str, Any]]


def blocks_of(reply: MockReply, seen: Seen) -> list[dict[str, Any]]:
    """The content blocks of a reply."""
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": signature(reply.thinking)})
    if reply.text or not reply.calls:
        blocks.append({"type": "text", "text": reply.text})
    for number, call in enumerate(reply.calls, 1):
        id = f"toolu_{seen.name}_{seen.turn}_{number}"
        blocks.append({"type": "tool_use", "id": id, "name": call.tool, "input": call.arguments})
    return blocks


def usage_of(request: dict[str, Any], cached: int, written: int) -> dict[str, int]:
    """The tokens of a prompt, of which so many were read from the cache and written to it."""
    prompt = tokens_in(request.get("messages", [])) + tokens_in([request.get("system"), request.get("tools")])
    return {
        "input_tokens": max(0, prompt - cached - written), "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written, "output_tokens": 1,
    }  # fmt: skip


def tokens_in(value: Any) -> int:
    """About how many tokens something has."""
    return math.ceil(len(json.dumps(value)) / CHARACTERS_PER_TOKEN)


def events_of(
    message_id: str, model: str, blocks: list[dict[str, Any]], stop_reason: str, usage: dict[str, int]
) -> Iterator[Event]:
    """The events of a reply's stream, in their order."""
    head: dict[str, Any] = {
        "id": message_id, "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    yield "message_start", {"message": head}
    yield "ping", {}
    for index, block in enumerate(blocks):
        yield "content_block_start", {"index": index, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    yield "message_delta", {"delta": delta, "usage": {"output_tokens": tokens_in(blocks)}}
    yield "message_stop", {}


def encode(event: Event) -> bytes:
    """An event as server-sent event."""
    kind, data = event
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    cleared: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {key: cleared.get(key, value) for key, value in block.items()}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"]))
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "text":
            yield from ({"type": "text_delta", "text": piece} for piece in _pieces(block["text"]))
        case "tool_use":
            text = json.dumps(block["input"])
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))
