"""Read one reply of the Messages API from its stream: complete and bounded, or not at all."""

from collections.abc import Callable
from typing import Any

from aar.researchers.brains.claude.failures import Truncated

REPLY_BYTES = 2**20
"""Of a whole reply; the longest that a model writes are a few hundred kibibytes."""

Block = dict[str, Any]


async def read_reply(stream: Any, on_block: Callable[[str], None]) -> Any:
    """Return the message of a `client.beta.messages.stream(...)`.

    Args:
        on_block: called with the type of each content block when it starts.

    Raises:
        Truncated: the reply is incomplete, malformed, or longer than REPLY_BYTES.
        anthropic.AnthropicError, httpx2.HTTPError: the endpoint reported an error, or the connection broke.
    """
    size = 0
    try:
        async for event in stream:
            size += _length(event)
            if size > REPLY_BYTES:  # the package would parse the whole reply again with each event
                raise Truncated(f"it is longer than {REPLY_BYTES} bytes")
            if event.type == "content_block_start":
                on_block(event.content_block.type)
        message = stream.current_message_snapshot
    except AssertionError:  # the package's, when no event came
        raise Truncated("the endpoint closed the stream before the reply began") from None
    except (ValueError, RuntimeError) as error:  # the package's, for events that do not form a reply
        raise Truncated(str(error)) from None
    if message.stop_reason is None:
        raise Truncated("the endpoint stopped in the middle of it")
    if message.stop_reason == "tool_use" and not any(block.type == "tool_use" for block in message.content):
        raise Truncated("it asks for tools and names none")
    return message


def content_of(message: Any) -> list[Block]:
    """The content blocks of a reply as the API takes them back."""
    return [_plain(block) for block in message.content]


def text_block(text: str) -> Block:
    """A text of a user message."""
    return {"type": "text", "text": text}


def result_block(id: str, text: str, *, is_error: bool) -> Block:
    """The result of the tool call `id`."""
    return {"type": "tool_result", "tool_use_id": id, "content": text, **({"is_error": True} if is_error else {})}


def _plain(block: Any) -> Block:
    plain: Block = block.to_dict(mode="json")
    plain.pop("parsed_output", None)
    return plain


def _length(event: Any) -> int:
    """Characters that an event adds to a reply."""
    part = getattr(event, "delta", None) or getattr(event, "content_block", None)
    values = vars(part).items() if event.type in ("content_block_start", "content_block_delta") else ()
    return sum(len(value) for name, value in values if name != "type" and isinstance(value, str))
