"""One request to the Messages API: its parameters, its reply, the tokens it used, and how it can fail.

The `anthropic` package has already retried what is worth retrying at once. A failure that reaches this module is
recorded, and then either waited out, answered with a new conversation, or final.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import anthropic
import httpx2
from anthropic.types.beta import BetaUsage

from aar.budget import Tokens
from aar.budget.usage import KINDS
from aar.config import ClaudeConfig
from aar.researchers.tools import TOOLS

COMPACTION_BETA = "compact-2026-01-12"


def request_params(config: ClaudeConfig, system: str) -> dict[str, Any]:
    """Return the arguments of `client.beta.messages.stream`, except the messages. None settings are left out."""
    params: dict[str, Any] = {
        "model": config.model,
        "max_tokens": config.max_tokens,
        "system": system,
        "tools": _tool_definitions(),
    }
    if config.thinking:
        display = {"display": "summarized"} if config.thinking == "adaptive" else {}
        params["thinking"] = {"type": config.thinking, **display}
    if config.effort:
        params["output_config"] = {"effort": config.effort}
    if config.cache:
        params["cache_control"] = {"type": "ephemeral", "ttl": config.cache}
    if config.compact_at:
        trigger = {"type": "input_tokens", "value": config.compact_at}
        params["context_management"] = {"edits": [{"type": "compact_20260112", "trigger": trigger}]}
        params["betas"] = [COMPACTION_BETA]
    return params


@cache  # pydantic would build each schema again
def _tool_definitions() -> list[dict[str, Any]]:
    """Return every tool in the registry's order, on which the prompt cache depends."""
    return [{"name": tool.name, "description": tool.description, "input_schema": tool.schema()} for tool in TOOLS]


def tokens_of(usage: BetaUsage) -> Tokens:
    """Return the tokens of one request. Those of a compaction are added: the top-level numbers do not include them.

    If an endpoint reports only the sum of cache writes, they count as five-minute writes, the default.
    """
    compactions = [iteration for iteration in usage.iterations or [] if iteration.type == "compaction"]
    counts = [_tokens(usage), *(_tokens(iteration) for iteration in compactions)]
    return Tokens(**{kind: sum(getattr(count, kind) for count in counts) for kind in KINDS})


def _tokens(usage: object) -> Tokens:
    written = _count(usage, "cache_creation_input_tokens")
    long = _count(getattr(usage, "cache_creation", None), "ephemeral_1h_input_tokens")
    return Tokens(
        input=_count(usage, "input_tokens"),
        output=_count(usage, "output_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write_5m=max(0, written - long),
        cache_write_1h=long,
    )


def _count(usage: object, name: str) -> int:
    """Return a number from an endpoint's usage; 0 if the endpoint leaves it out."""
    return getattr(usage, name, None) or 0


REPLY_BYTES = 2**20
"""Maximum size of a whole reply. A model's longest replies have a few hundred kibibytes."""

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
    except AssertionError:  # raised by the package if no event arrived
        raise Truncated("the endpoint closed the stream before the reply began") from None
    except (ValueError, RuntimeError) as error:  # raised by the package for events that do not form a reply
        raise Truncated(str(error)) from None
    if message.stop_reason is None:
        raise Truncated("the endpoint stopped in the middle of it")
    if message.stop_reason == "tool_use" and not any(block.type == "tool_use" for block in message.content):
        raise Truncated("it announces tool calls and contains none")
    return message


def content_of(message: Any) -> list[Block]:
    """Return the content blocks of a reply in the form in which the API accepts them back."""
    return [_plain(block) for block in message.content]


def text_block(text: str) -> Block:
    """Return a text block of a user message."""
    return {"type": "text", "text": text}


def result_block(id: str, text: str, *, is_error: bool) -> Block:
    """Return the result block of the tool call `id`."""
    return {"type": "tool_result", "tool_use_id": id, "content": text, **({"is_error": True} if is_error else {})}


def _plain(block: Any) -> Block:
    plain: Block = block.to_dict(mode="json")
    plain.pop("parsed_output", None)
    return plain


def _length(event: Any) -> int:
    """Return the number of characters that an event adds to a reply."""
    part = getattr(event, "delta", None) or getattr(event, "content_block", None)
    values = vars(part).items() if event.type in ("content_block_start", "content_block_delta") else ()
    return sum(len(value) for name, value in values if name != "type" and isinstance(value, str))


Action = Literal["wait", "reset_conversation", "give_up"]

LONGEST_WAIT_SECONDS = 300.0
FIRST_WAIT_SECONDS = 2.0
TOO_LONG = ("prompt is too long", "context window", "context length", "maximum context", "request_too_large")
_TRANSIENT = ("overloaded_error", "rate_limit_error", "api_error", "timeout_error")


class Truncated(Exception):
    """The reply is incomplete or unusable."""


@dataclass(frozen=True)
class ApiFailure:
    """A failed request, and what to do about it. `retry_after`: the seconds that the endpoint asks to wait."""

    message: str
    action: Action
    retry_after: float | None = None

    def wait_seconds(self, attempt: int) -> float:
        """Return the seconds until the next attempt. `attempt` is the number of failures in a row, from 1."""
        requested = self.retry_after or 0.0
        return min(LONGEST_WAIT_SECONDS, max(requested, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 10)))


REQUEST_ERRORS = (anthropic.AnthropicError, httpx2.HTTPError, Truncated)
"""All errors that a request may raise."""


def classify_error(error: anthropic.AnthropicError | httpx2.HTTPError | Truncated) -> ApiFailure:
    """Classify an error of a request."""
    if isinstance(error, anthropic.APIStatusError):
        return _by_status(error)
    if isinstance(error, anthropic.APITimeoutError):
        return ApiFailure("the model's endpoint did not answer in time", "wait")
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
        return ApiFailure(
            f"the model's endpoint was not reached or closed the connection ({_first_line(error)})", "wait"
        )
    if isinstance(error, Truncated | anthropic.APIError):
        return ApiFailure(f"a reply was not usable: {_first_line(error)}", "wait")
    advice = "check the credentials in the environment where the campaign was started"
    return ApiFailure(f"the anthropic package could not make a request ({_first_line(error)}): {advice}", "give_up")


def _by_status(error: anthropic.APIStatusError) -> ApiFailure:
    text, status = error.api_message or _first_line(error), error.status_code
    if status == 413 or any(phrase in text.lower() for phrase in TOO_LONG):
        return ApiFailure(f"the conversation has become too long ({text})", "reset_conversation")
    if status == 429 or error.type == "rate_limit_error":
        return ApiFailure(f"rate limited ({text})", "wait", _retry_after(error))
    if status == 529 or error.type == "overloaded_error":
        return ApiFailure(f"the model's endpoint is overloaded ({text})", "wait", _retry_after(error))
    if status >= 500 or status in (408, 409) or error.type in _TRANSIENT:
        return ApiFailure(f"the model's endpoint failed with {status} ({text})", "wait", _retry_after(error))
    if status in (401, 403):
        advice = "check the key in the environment where the campaign was started, then run it again"
        return ApiFailure(f"the model's endpoint refuses the credentials ({text}): {advice}", "give_up")
    if status == 400:
        return ApiFailure(f"the model's endpoint refuses the request ({text})", "reset_conversation")
    return ApiFailure(f"the model's endpoint answers {status} ({text}); check claude.model", "give_up")


def _retry_after(error: anthropic.APIStatusError) -> float | None:
    try:
        return float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
