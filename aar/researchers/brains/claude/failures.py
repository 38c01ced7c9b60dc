"""What can go wrong between a researcher and its model, and what follows from it.

The `anthropic` package has retried what is worth retrying at once; what arrives here is told to people, and waited out,
answered by a new conversation, or final.
"""

from dataclasses import dataclass
from typing import Literal

import anthropic
import httpx2

Remedy = Literal["wait", "begin anew", "give up"]

LONGEST_WAIT_SECONDS = 300.0
FIRST_WAIT_SECONDS = 2.0
TOO_LONG = ("prompt is too long", "context window", "context length", "maximum context", "request_too_large")
_PASSING = ("overloaded_error", "rate_limit_error", "api_error", "timeout_error")


class Truncated(Exception):
    """A reply that ended before it was complete."""


@dataclass(frozen=True)
class ApiFailure:
    """What went wrong, in words, and what to do. `retry_after`: what the endpoint asked for, in seconds."""

    words: str
    remedy: Remedy
    retry_after: float | None = None

    def wait_seconds(self, attempt: int) -> float:
        """How long to wait before the next attempt; `attempt` counts failures in a row from 1."""
        asked = self.retry_after or 0.0
        return min(LONGEST_WAIT_SECONDS, max(asked, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 10)))


TROUBLES = (anthropic.AnthropicError, httpx2.HTTPError, Truncated)
"""What a request may raise."""


def diagnose(error: anthropic.AnthropicError | httpx2.HTTPError | Truncated) -> ApiFailure:
    """What an error of a request means."""
    if isinstance(error, anthropic.APIStatusError):
        return _by_status(error)
    if isinstance(error, anthropic.APITimeoutError):
        return ApiFailure("the model's endpoint did not answer in time", "wait")
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
        return ApiFailure(f"the model's endpoint was not reached, or hung up ({_first_line(error)})", "wait")
    if isinstance(error, Truncated | anthropic.APIError):
        return ApiFailure(f"a reply was not usable: {_first_line(error)}", "wait")
    advice = "check the credentials in the environment where the campaign was started"
    return ApiFailure(f"the anthropic package could not make a request ({_first_line(error)}): {advice}", "give up")


def _by_status(error: anthropic.APIStatusError) -> ApiFailure:
    said = error.api_message or _first_line(error)
    if error.status_code == 413 or any(words in said.lower() for words in TOO_LONG):
        return ApiFailure(f"the conversation has become too long ({said})", "begin anew")
    if error.status_code == 429 or error.type == "rate_limit_error":
        return ApiFailure(f"rate limited ({said})", "wait", _retry_after(error))
    if error.status_code == 529 or error.type == "overloaded_error":
        return ApiFailure(f"the model's endpoint is overloaded ({said})", "wait", _retry_after(error))
    if error.status_code >= 500 or error.status_code in (408, 409) or error.type in _PASSING:
        return ApiFailure(f"the model's endpoint failed with {error.status_code} ({said})", "wait", _retry_after(error))
    if error.status_code in (401, 403):
        advice = "check the key in the environment where the campaign was started, then run it again"
        return ApiFailure(f"the model's endpoint refuses the credentials ({said}): {advice}", "give up")
    if error.status_code == 400:
        return ApiFailure(f"the model's endpoint refuses the request ({said})", "begin anew")
    return ApiFailure(f"the model's endpoint answers {error.status_code} ({said}); check claude.model", "give up")


def _retry_after(error: anthropic.APIStatusError) -> float | None:
    try:
        return float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
