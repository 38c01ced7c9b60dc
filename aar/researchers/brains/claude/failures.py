"""Classify what can fail between a researcher and its model, and decide what follows.

The `anthropic` package has already retried what is worth retrying at once. A failure that arrives here is recorded, and
either waited out, answered by a conversation from scratch, or final.
"""

from dataclasses import dataclass
from typing import Literal

import anthropic
import httpx2

Action = Literal["wait", "reset_conversation", "give_up"]

LONGEST_WAIT_SECONDS = 300.0
FIRST_WAIT_SECONDS = 2.0
TOO_LONG = ("prompt is too long", "context window", "context length", "maximum context", "request_too_large")
_TRANSIENT = ("overloaded_error", "rate_limit_error", "api_error", "timeout_error")


class Truncated(Exception):
    """A reply that is not complete or not usable."""


@dataclass(frozen=True)
class ApiFailure:
    """A failed request, and what to do about it. `retry_after`: the wait the endpoint asks for, in seconds."""

    message: str
    action: Action
    retry_after: float | None = None

    def wait_seconds(self, attempt: int) -> float:
        """Seconds until the next attempt; `attempt` is the 1-based count of failures in a row."""
        requested = self.retry_after or 0.0
        return min(LONGEST_WAIT_SECONDS, max(requested, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 10)))


REQUEST_ERRORS = (anthropic.AnthropicError, httpx2.HTTPError, Truncated)
"""Everything that a request may raise."""


def classify_error(error: anthropic.AnthropicError | httpx2.HTTPError | Truncated) -> ApiFailure:
    """Return what an error of a request means."""
    if isinstance(error, anthropic.APIStatusError):
        return _by_status(error)
    if isinstance(error, anthropic.APITimeoutError):
        return ApiFailure("the model's endpoint did not answer in time", "wait")
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
        return ApiFailure(f"the model's endpoint was not reached, or hung up ({_first_line(error)})", "wait")
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
