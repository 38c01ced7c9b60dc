"""Reading a request of the Messages API, as strictly as the real endpoint where a client could go wrong."""

import hashlib
import re
from typing import Any

from aar.mock_api.script import Seen

NAME = re.compile(r"You are ([a-z0-9][a-z0-9-]*)")


class BadRequest(Exception):
    """What the endpoint would answer with 400 invalid_request_error."""


def seen_in(request: dict[str, Any]) -> Seen:
    """What a request shows. Raises BadRequest when the endpoint would not accept it."""
    for field in ("model", "max_tokens", "messages"):
        if not request.get(field):
            raise BadRequest(f"{field}: Field required")
    messages = request["messages"]
    if messages[0]["role"] != "user":
        raise BadRequest("messages: first message must use the user role")
    if messages[-1]["role"] != "user":
        raise BadRequest("This model does not support assistant message prefill")
    results: list[list[str]] = []
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            _check_reply(place, message, messages[place + 1])
            results.append([])
        elif results:
            results[-1] = results[-1] or _told(_blocks(message))
    return Seen(_name(request), results)


def signature(thinking: str) -> str:
    """The signature of a thought, by which the endpoint knows that it comes back unchanged."""
    return hashlib.sha256(f"rehearsal {thinking}".encode()).hexdigest()


def _check_reply(place: int, message: dict[str, Any], following: dict[str, Any]) -> None:
    asked = [block["id"] for block in _blocks(message) if block["type"] == "tool_use"]
    answered = [block["tool_use_id"] for block in _blocks(following) if block["type"] == "tool_result"]
    if asked != answered:
        raise BadRequest(
            f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after, or others: "
            f"{asked} and {answered}"
        )
    for block in _blocks(message):
        if block["type"] == "thinking" and block["signature"] != signature(block["thinking"]):
            raise BadRequest(f"messages.{place}: `thinking` blocks in the latest assistant message cannot be modified")


def _name(request: dict[str, Any]) -> str:
    system = request.get("system") or ""
    text = system if isinstance(system, str) else " ".join(block["text"] for block in system)
    found = NAME.search(text)
    return found[1] if found else "somebody"


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _told(blocks: list[dict[str, Any]]) -> list[str]:
    """The results of tools, or, where there are none, what else was said."""
    results = [block for block in blocks if block["type"] == "tool_result"]
    return [_text(block) for block in results or blocks]


def _text(block: dict[str, Any]) -> str:
    if block["type"] == "tool_result":
        content = block.get("content", "")
        return content if isinstance(content, str) else " ".join(inner.get("text", "") for inner in content)
    return str(block.get("text", ""))
