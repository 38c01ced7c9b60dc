"""The mock API over real HTTP: scripted replies, whole and as streams, and the failures of an endpoint."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from aar.errors import ModelAccessError
from aar.mock_api.script import Fault, Scenario, Schedule, say, use
from aar.mock_api.server import Endpoint, MockApi

SYSTEM = "You are ada, a researcher."
FIRST = {"role": "user", "content": "Begin."}


def talks() -> Scenario:
    """Call a tool, then report its result."""
    (result,) = yield say("Let me look.", use("bash", command="ls"), thinking="What is here?")
    yield say(f"I saw {result}.")


class Client:
    """Speaks to an endpoint as a client of the Messages API does."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, *messages: dict[str, Any], key: str = "k", **fields: Any) -> httpx2.Response:
        request = {"model": "m", "max_tokens": 10, "system": SYSTEM, "messages": [FIRST, *messages], **fields}
        headers = {"x-api-key": key} if key else {}
        return httpx2.post(f"{self.url}/v1/messages", json=request, headers=headers, timeout=20)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def serve(stack: ExitStack, faults: Schedule | None = None, key: str | None = None) -> Client:
    return Client(stack.enter_context(MockApi(Endpoint({"ada": talks}, faults, key))).url)


def failing(stack: ExitStack, *faults: Fault) -> Client:
    return serve(stack, {("ada", 0): faults})


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


def test_a_reply_has_the_scripts_thought_text_and_call(stack: ExitStack) -> None:
    reply = serve(stack).post().json()
    assert (reply["stop_reason"], reply["role"], reply["model"]) == ("tool_use", "assistant", "m")
    thought, text, call = reply["content"]
    assert (thought["thinking"], text["text"]) == ("What is here?", "Let me look.")
    assert (call["name"], call["input"]) == ("bash", {"command": "ls"})


def test_a_conversation_continues_on_another_server_with_the_same_script(stack: ExitStack) -> None:
    reply = serve(stack).post().json()
    call = reply["content"][-1]["id"]
    result = {"type": "tool_result", "tool_use_id": call, "content": "a file"}
    messages = ({"role": "assistant", "content": reply["content"]}, {"role": "user", "content": [result]})
    last = serve(stack).post(*messages).json()
    assert (last["content"], last["stop_reason"]) == ([{"type": "text", "text": "I saw a file."}], "end_turn")


def test_a_stream_adds_up_to_the_whole_reply(stack: ExitStack) -> None:
    client = serve(stack)
    whole, stream = client.post().json(), events(client.post(stream=True).text)
    assert stream[0]["type"] == "message_start" and stream[-1]["type"] == "message_stop"
    texts: dict[int, str] = {}
    for event in stream:
        if event["type"] == "content_block_delta" and event["delta"]["type"] != "signature_delta":
            kind = event["delta"]["type"].removesuffix("_delta").replace("input_json", "partial_json")
            texts[event["index"]] = texts.get(event["index"], "") + event["delta"][kind]
    thought, text, call = whole["content"]
    assert (texts[0], texts[1], json.loads(texts[2])) == (thought["thinking"], text["text"], call["input"])


def test_a_researcher_without_a_scenario_has_nothing_to_do(stack: ExitStack) -> None:
    reply = serve(stack).post(system="You are ben, a researcher.").json()
    assert reply["content"] == [{"type": "text", "text": "I see nothing left to do."}]


@pytest.mark.parametrize(("key", "status"), [("right", 200), ("wrong", 401), ("", 401)])
def test_only_the_right_key_is_accepted(stack: ExitStack, key: str, status: int) -> None:
    assert serve(stack, key="right").post(key=key).status_code == status


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"model": ""}, "model: Field required"),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, "first message must use the user role"),
        (
            {"messages": [FIRST, {"role": "assistant", "content": "hello"}]},
            "does not support assistant message prefill",
        ),
    ],
)
def test_a_request_that_the_real_endpoint_would_refuse_is_refused(
    stack: ExitStack, fields: dict[str, Any], complaint: str
) -> None:
    reply = serve(stack).post(**fields)
    assert reply.status_code == 400 and complaint in reply.json()["error"]["message"]


def test_a_request_that_is_not_json_is_a_bad_request(stack: ExitStack) -> None:
    client = serve(stack)
    reply = httpx2.post(f"{client.url}/v1/messages", content=b"{", headers={"x-api-key": "k"})
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


def test_faults_come_one_after_another_and_then_the_attempt_succeeds(stack: ExitStack) -> None:
    client = failing(stack, "429", "500", "529", "too_long")
    replies = [client.post() for _ in range(5)]
    assert [reply.status_code for reply in replies] == [429, 500, 529, 400, 200]
    assert [reply.headers.get("retry-after") for reply in replies] == ["0", None, "0", None, None]
    assert "prompt is too long" in replies[3].json()["error"]["message"]


def test_a_fault_of_all_researchers_meets_each_of_them_once(stack: ExitStack) -> None:
    client = serve(stack, {("*", 0): ("500",)})
    for name in ("ada", "ben"):
        assert [client.post(system=f"You are {name}.").status_code for _ in range(2)] == [500, 200]


def test_a_stream_may_break_off_in_the_middle(stack: ExitStack) -> None:
    client = failing(stack, "cut", "drop", "overloaded")
    cut = events(client.post(stream=True).text)
    assert cut[0]["type"] == "message_start" and cut[-1]["type"] != "message_stop"
    with pytest.raises(httpx2.RemoteProtocolError):
        client.post(stream=True)
    assert events(client.post(stream=True).text)[-1]["error"]["type"] == "overloaded_error"


def test_a_reply_may_be_refused_or_cut_off_at_its_maximum_length(stack: ExitStack) -> None:
    client = failing(stack, "refusal", "max_tokens")
    assert [client.post().json()["stop_reason"] for _ in range(2)] == ["refusal", "max_tokens"]


def test_the_second_prompt_is_read_from_the_cache_where_the_client_asks_for_it(stack: ExitStack) -> None:
    client = serve(stack)
    first, second = (client.post(cache_control={"type": "ephemeral"}).json()["usage"] for _ in range(2))
    assert (first["cache_read_input_tokens"], second["cache_creation_input_tokens"]) == (0, 0)
    assert first["cache_creation_input_tokens"] == second["cache_read_input_tokens"] > 0
    assert client.post().json()["usage"]["cache_read_input_tokens"] == 0


def test_requests_are_kept_with_their_researcher_and_turn(stack: ExitStack) -> None:
    endpoint = Endpoint({"ada": talks})
    client = Client(stack.enter_context(MockApi(endpoint)).url)
    client.post()
    [(name, turn, request)] = endpoint.requests
    assert (name, turn, request["messages"]) == ("ada", 0, [FIRST])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # uvicorn exits in its thread
def test_a_port_that_is_in_use_is_an_error_that_says_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ModelAccessError, match=r"its port may be in use\. Try --serve PORT"):
            MockApi(Endpoint({}), other.getsockname()[1]).__enter__()
