"""The server of rehearsals, over real HTTP: what anthropic's own client reads from it, and each failure it plays."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from aar.errors import ModelAccessError
from aar.mock_api.script import Fault, Scenario, Schedule, say, use
from aar.mock_api.server import Endpoint, MockApi

SYSTEM = "You are ada, a researcher."
THOUGHT = "First the data, then the labels; both have to be read before anything is trained on them."


def ada() -> Scenario:
    (listed,) = yield say("I look around.", use("bash", command="ls"), thinking=THOUGHT)
    yield say(f"There is {listed}.")


def request(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    first = {"role": "user", "content": "Begin."}
    return {"model": "claude-x", "max_tokens": 100, "system": SYSTEM, "messages": [first, *messages], **fields}


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Endpoint, str]]]:
    apis: list[MockApi] = []

    def start(schedule: Schedule | None = None, key: str | None = None) -> tuple[Endpoint, str]:
        endpoint = Endpoint({"ada": ada}, schedule, key)
        apis.append(MockApi(endpoint).__enter__())
        return endpoint, apis[-1].url

    yield start
    for api in apis:
        api.__exit__(None, None, None)


def client(url: str, key: str = "any") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30)


def streamed(url: str, *messages: dict[str, Any]) -> Any:
    with client(url).messages.stream(**request(*messages)) as stream:
        return stream.get_final_message()


def test_a_streamed_reply_is_the_one_that_is_sent_whole(serve: Callable[..., tuple[Endpoint, str]]) -> None:
    _, url = serve()
    whole = client(url).messages.create(**request())
    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
    assert (whole.model, whole.stop_reason) == ("claude-x", "tool_use")
    parts = streamed(url)
    assert [block.to_dict() for block in parts.content] == [block.to_dict() for block in whole.content]
    assert parts.stop_reason == whole.stop_reason and parts.usage.output_tokens == whole.usage.output_tokens


def test_a_conversation_goes_on_after_the_results_of_its_calls(serve: Callable[..., tuple[Endpoint, str]]) -> None:
    endpoint, url = serve()
    reply = streamed(url)
    call = reply.content[-1]
    assert (call.name, call.input) == ("bash", {"command": "ls"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "method.py"}
    said = [{"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]
    answer = streamed(url, *said)
    assert answer.content[0].text == "There is method.py." and answer.stop_reason == "end_turn"
    assert [(name, turn) for name, turn, _ in endpoint.requests] == [("ada", 0), ("ada", 1)]


def test_somebody_without_a_part_has_nothing_to_do(serve: Callable[..., tuple[Endpoint, str]]) -> None:
    _, url = serve()
    reply = client(url).messages.create(**request(system="You are ben, a researcher."))
    assert reply.content[0].to_dict()["text"] == "I see nothing left to do." and reply.stop_reason == "end_turn"


def test_a_prompt_is_written_to_the_cache_once_and_read_from_it_then(
    serve: Callable[..., tuple[Endpoint, str]],
) -> None:
    _, url = serve()
    cached = request(cache_control={"type": "ephemeral"})
    first, second = (
        httpx2.post(f"{url}/v1/messages", json=cached, headers={"x-api-key": "k"}).json() for _ in range(2)
    )
    assert first["usage"]["cache_creation_input_tokens"] > 0 == first["usage"]["cache_read_input_tokens"]
    assert second["usage"]["cache_read_input_tokens"] == first["usage"]["cache_creation_input_tokens"]
    assert second["usage"]["cache_creation_input_tokens"] == 0


STATUSES: dict[Fault, type[anthropic.APIStatusError]] = {
    "400": anthropic.BadRequestError,
    "401": anthropic.AuthenticationError,
    "413": anthropic.RequestTooLargeError,
    "429": anthropic.RateLimitError,
    "500": anthropic.InternalServerError,
    "529": anthropic.OverloadedError,
    "too_long": anthropic.BadRequestError,
}


@pytest.mark.parametrize("fault", STATUSES)
def test_a_refusal_has_the_status_and_the_body_of_the_real_one(
    serve: Callable[..., tuple[Endpoint, str]], fault: Fault
) -> None:
    _, url = serve({("ada", 0): (fault,)})
    with pytest.raises(STATUSES[fault]) as refused:
        client(url).messages.create(**request())
    body = refused.value.body
    assert isinstance(body, dict) and body["type"] == "error" and body["error"]["message"]
    assert streamed(url).stop_reason == "tool_use"  # it happens once


@pytest.mark.parametrize("fault", ["drop", "garbage", "overloaded"])
def test_a_stream_that_breaks_reaches_the_client_as_an_error(
    serve: Callable[..., tuple[Endpoint, str]], fault: Fault
) -> None:
    _, url = serve({("ada", 0): (fault,)})
    with pytest.raises((anthropic.APIError, httpx2.HTTPError, json.JSONDecodeError)):
        streamed(url)
    assert streamed(url).stop_reason == "tool_use"


def test_a_stream_that_is_cut_off_ends_without_its_last_event(serve: Callable[..., tuple[Endpoint, str]]) -> None:
    _, url = serve({("ada", 0): ("cut",)})
    body = request(stream=True)
    text = httpx2.post(f"{url}/v1/messages", json=body, headers={"x-api-key": "k"}).text
    assert "message_start" in text and "message_stop" not in text


@pytest.mark.parametrize(("fault", "blocks"), [("refusal", 1), ("max_tokens", 3)])
def test_a_reply_may_be_withheld_or_cut_off(
    serve: Callable[..., tuple[Endpoint, str]], fault: Fault, blocks: int
) -> None:
    _, url = serve({("*", 0): (fault,)})
    reply = streamed(url)
    assert (reply.stop_reason, len(reply.content)) == (fault, blocks)


def test_a_wrong_key_is_refused_and_the_right_one_is_taken_as_header_or_token(
    serve: Callable[..., tuple[Endpoint, str]],
) -> None:
    _, url = serve(key="right")
    with pytest.raises(anthropic.AuthenticationError):
        client(url, "wrong").messages.create(**request())
    assert client(url, "right").messages.create(**request()).content
    token = anthropic.Anthropic(base_url=url, auth_token="right", max_retries=0)
    assert token.messages.create(**request()).content


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{not json", "Expecting property name"),
        (b'{"model": "m", "max_tokens": 5}', "messages: Field required"),
        (
            b'{"model": "m", "max_tokens": 5, "messages": [{"role": "assistant", "content": "x"}]}',
            "must use the user role",
        ),
        (b'{"model": "m", "max_tokens": 5, "messages": ["x"]}', ""),
    ],
)
def test_a_request_that_the_endpoint_cannot_read_is_a_bad_request(
    serve: Callable[..., tuple[Endpoint, str]], body: bytes, message: str
) -> None:
    endpoint, url = serve()
    answer = httpx2.post(f"{url}/v1/messages", content=body, headers={"x-api-key": "k"})
    assert answer.status_code == 400 and message in answer.json()["error"]["message"]
    assert endpoint.requests == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_port_that_is_taken_is_a_clear_error(serve: Callable[..., tuple[Endpoint, str]]) -> None:
    _, url = serve()
    port = int(url.rsplit(":", 1)[1])
    with pytest.raises(ModelAccessError, match="is its port taken"), MockApi(Endpoint({}), port):
        pass
