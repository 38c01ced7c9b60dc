"""The Messages API as data: requests, read as strictly as by the real endpoint, and replies as streams of events."""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from aar.mock_api.script import Conversation, MockReply

NAME = re.compile(r"You are ([a-z0-9][a-z0-9-]*)")
PIECE = 40
CHARACTERS_PER_TOKEN = 4
Event = tuple[str, dict[str, Any]]


class BadRequest(Exception):
    """A request that the endpoint would answer with 400 invalid_request_error."""


def read_conversation(request: dict[str, Any]) -> Conversation:
    """Return the conversation in a request. Raises BadRequest when the endpoint would not accept the request."""
    for field in ("model", "max_tokens", "messages"):
        if not request.get(field):
            raise BadRequest(f"{field}: Field required")
    messages = request["messages"]
    if messages[0]["role"] != "user":
        raise BadRequest("messages: first message must use the user role")
    if messages[-1]["role"] != "user":
        raise BadRequest("This model does not support assistant message prefill")
    results: list[list[str]] = []
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            _check_reply(index, message, messages[index + 1])
            results.append([])
        elif results:
            # Of several user messages after a reply, the first with any text holds the results.
            results[-1] = results[-1] or _results(_blocks(message))
    return Conversation(_name(request), results)


def signature(thinking: str) -> str:
    """Sign a thought, so that the endpoint can check that it comes back unchanged."""
    return hashlib.sha256(f"rehearsal {thinking}".encode()).hexdigest()


def _check_reply(index: int, message: dict[str, Any], following: dict[str, Any]) -> None:
    calls = [block["id"] for block in _blocks(message) if block["type"] == "tool_use"]
    answers = [block["tool_use_id"] for block in _blocks(following) if block["type"] == "tool_result"]
    if calls != answers:
        raise BadRequest(
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after, or others: "
            f"{calls} and {answers}"
        )
    for block in _blocks(message):
        if block["type"] == "thinking" and block["signature"] != signature(block["thinking"]):
            raise BadRequest(f"messages.{index}: `thinking` blocks in the latest assistant message cannot be modified")


def _name(request: dict[str, Any]) -> str:
    system = request.get("system") or ""
    text = system if isinstance(system, str) else " ".join(block["text"] for block in system)
    match = NAME.search(text)
    return match[1] if match else "somebody"


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _results(blocks: list[dict[str, Any]]) -> list[str]:
    """Return the results of tools or, without any, the other texts."""
    results = [block for block in blocks if block["type"] == "tool_result"]
    return [_text(block) for block in results or blocks]


def _text(block: dict[str, Any]) -> str:
    if block["type"] == "tool_result":
        content = block.get("content", "")
        return content if isinstance(content, str) else " ".join(inner.get("text", "") for inner in content)
    return str(block.get("text", ""))


def blocks_of(reply: MockReply, conversation: Conversation) -> list[dict[str, Any]]:
    """Return the content blocks of a reply."""
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": signature(reply.thinking)})
    if reply.text or not reply.calls:
        blocks.append({"type": "text", "text": reply.text})
    for number, call in enumerate(reply.calls, 1):
        id = f"toolu_{conversation.name}_{conversation.turn}_{number}"
        blocks.append({"type": "tool_use", "id": id, "name": call.tool, "input": call.arguments})
    return blocks


def usage_of(request: dict[str, Any], cached: int, written: int) -> dict[str, int]:
    """Count the tokens of a prompt, of which `cached` were read from the cache and `written` were written to it."""
    prompt = tokens_in(request.get("messages", [])) + tokens_in([request.get("system"), request.get("tools")])
    return {
        "input_tokens": max(0, prompt - cached - written), "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written, "output_tokens": 1,
    }  # fmt: skip


def tokens_in(value: Any) -> int:
    """Estimate the number of tokens in a JSON value."""
    return math.ceil(len(json.dumps(value)) / CHARACTERS_PER_TOKEN)


def events_of(
    message_id: str, model: str, blocks: list[dict[str, Any]], stop_reason: str, usage: dict[str, int]
) -> Iterator[Event]:
    """Yield the events of a reply's stream, in order."""
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
    """Encode an event as a server-sent event."""
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
