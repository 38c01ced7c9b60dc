"""One request to the Messages API: how long a failure is waited out, and which tokens a reply is charged for."""

import anthropic
import httpx2
import pytest
from anthropic.types.beta import BetaUsage

from aar.budget import Tokens
from aar.researchers.brains.claude.messages import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    ApiFailure,
    Truncated,
    classify_error,
    tokens_of,
)

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/messages")


def refused(status: int, text: str = "no", headers: dict[str, str] | None = None) -> ApiFailure:
    response = httpx2.Response(status, headers=headers, request=REQUEST)
    return classify_error(anthropic.APIStatusError(text, response=response, body=None))


def test_waits_double_with_each_failure_in_a_row_up_to_the_longest() -> None:
    waits = [ApiFailure("overloaded", "wait").wait_seconds(attempt) for attempt in range(1, 100)]
    assert waits[:3] == [FIRST_WAIT_SECONDS, 2 * FIRST_WAIT_SECONDS, 4 * FIRST_WAIT_SECONDS]
    assert waits == sorted(waits) and waits[-1] == LONGEST_WAIT_SECONDS


def test_a_wait_that_the_endpoint_asks_for_is_kept_up_to_the_longest() -> None:
    assert refused(429, headers={"retry-after": "17"}).wait_seconds(1) == 17.0
    assert refused(429, headers={"retry-after": "1e9"}).wait_seconds(1) == LONGEST_WAIT_SECONDS
    assert refused(429, headers={"retry-after": "soon"}).wait_seconds(1) == FIRST_WAIT_SECONDS


@pytest.mark.parametrize(
    ("status", "text", "action"),
    [
        (400, "prompt is too long: 9 tokens > 8 maximum", "reset_conversation"),
        (400, "messages.3: unexpected block", "reset_conversation"),
        (401, "invalid x-api-key", "give_up"),
        (403, "not allowed", "give_up"),
        (404, "model: gpt-2", "give_up"),
        (408, "timeout", "wait"),
        (409, "conflict", "wait"),
        (413, "too large", "reset_conversation"),
        (503, "unavailable", "wait"),
    ],
)
def test_a_status_decides_what_follows(status: int, text: str, action: str) -> None:
    failure = refused(status, text)
    assert failure.action == action and text in failure.message


def test_a_model_that_does_not_exist_is_final_and_names_the_setting() -> None:
    assert "check claude.model" in refused(404, "model: gpt-2").message


@pytest.mark.parametrize(
    "error",
    [
        anthropic.APITimeoutError(request=REQUEST),
        anthropic.APIConnectionError(message="refused", request=REQUEST),
        httpx2.ReadError("reset by peer"),
        Truncated("the endpoint stopped in the middle of it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_endpoint_that_is_away_or_breaks_off_is_waited_out(error: anthropic.AnthropicError) -> None:
    assert classify_error(error).action == "wait"


def test_the_tokens_of_a_compaction_are_added_to_those_of_the_reply() -> None:
    counts = {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 0}
    compaction = {"type": "compaction", "input_tokens": 1000, "output_tokens": 20, "cache_read_input_tokens": 0,
                  "cache_creation_input_tokens": 0}  # fmt: skip
    message = {"type": "message", **counts}
    usage = BetaUsage.model_validate({**counts, "iterations": [compaction, message]})
    assert tokens_of(usage) == Tokens(input=1100, output=30, cache_read=5, cache_write_5m=0, cache_write_1h=0)


def test_cache_writes_are_split_by_how_long_they_last() -> None:
    split = {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 10}
    counts = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 40}
    both = tokens_of(BetaUsage.model_validate({**counts, "cache_creation": split}))
    assert (both.cache_write_5m, both.cache_write_1h) == (10, 30)
    only_the_sum = tokens_of(BetaUsage.model_validate(counts))
    assert (only_the_sum.cache_write_5m, only_the_sum.cache_write_1h) == (40, 0)
