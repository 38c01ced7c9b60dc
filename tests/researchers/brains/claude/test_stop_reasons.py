"""The stop reason of a reply decides the next step of the conversation."""

import uuid
from collections import deque
from contextlib import ExitStack

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from aar.mock_api.protocol import blocks_of, encode, events_of, usage_of
from aar.mock_api.script import DONE, Conversation, MockReply, Scenario, say, use
from aar.mock_api.server import Endpoint, MockApi
from tests.researchers.brains.claude.conftest import NAME, Stage


class RepliesInOrder(Endpoint):
    """Gives replies with these stop reasons, one per request, then replies that see nothing left to do."""

    def __init__(self, *replies: tuple[str, MockReply]) -> None:
        super().__init__({})
        self._replies = deque(replies)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/messages", self._reply, methods=["POST"])])

    async def _reply(self, request: Request) -> Response:
        body, turn = await request.json(), len(self.requests)
        self.requests.append((NAME, turn, body))
        stop_reason, reply = self._replies.popleft() if self._replies else ("end_turn", DONE)
        blocks = blocks_of(reply, Conversation(NAME, [[]] * turn))
        events = events_of(f"msg_{uuid.uuid4().hex}", body["model"], blocks, stop_reason, usage_of(body, 0, 0))
        return StreamingResponse(iter([encode(event) for event in events]), media_type="text/event-stream")


def serve(stage: Stage, *replies: tuple[str, MockReply]) -> RepliesInOrder:
    endpoint = RepliesInOrder(*replies)
    stage.monkeypatch.setenv("ANTHROPIC_BASE_URL", stage.stack.enter_context(MockApi(endpoint)).url)
    return endpoint


@pytest.mark.parametrize("stop_reason", ["pause_turn", "compaction"])
def test_a_reply_that_is_not_over_is_sent_back_to_be_continued(stage: Stage, stop_reason: str) -> None:
    endpoint = serve(stage, (stop_reason, say("I have only begun.")), ("tool_use", say("", use("budget"))))
    stage.perform()
    first, second = (request["messages"] for _, _, request in endpoint.requests[:2])
    assert second == [*first, {"role": "assistant", "content": [{"type": "text", "text": "I have only begun."}]}]
    assert [entry.data["tool"] for entry in stage.entries("call")] == ["budget"]
    assert stage.end()["reason"] == "finished"


def test_a_full_context_window_restarts_the_conversation_and_the_reply_is_paid_for(stage: Stage) -> None:
    endpoint = serve(stage, ("model_context_window_exceeded", say("Too")), ("end_turn", say("Where was I?")))
    stage.perform()
    assert [entry.data["why"] for entry in stage.entries("reset")] == ["first", "the context window was full"]
    (message,) = endpoint.requests[1][2]["messages"]
    assert "restarted because the context window was full" in message["content"][0]["text"]
    assert len(stage.entries("usage")) == len(endpoint.requests)


def test_a_reply_that_announces_tool_calls_and_contains_none_is_requested_again(stage: Stage) -> None:
    endpoint = serve(stage, ("tool_use", say("I will look.")), ("tool_use", say("", use("bash", command="echo fine"))))
    stage.perform()
    assert "announces tool calls and contains none" in stage.failures()
    assert endpoint.requests[0][2]["messages"] == endpoint.requests[1][2]["messages"]
    assert stage.results() == ["fine"] and stage.end()["reason"] == "finished"


def test_text_that_reaches_the_maximum_length_is_continued(stage: Stage) -> None:
    endpoint = serve(stage, ("max_tokens", say("A long story")))
    stage.perform()
    assert "reached the maximum length and was cut off. Continue." in str(endpoint.requests[1][2]["messages"][-1])
    assert stage.end()["reason"] == "finished"


def test_only_refusals_in_a_row_end_a_researcher(stage: Stage) -> None:
    refusal, call = ("refusal", say("I")), ("tool_use", say("", use("budget")))
    serve(stage, refusal, refusal, call, refusal, refusal, call)
    stage.perform()
    assert stage.end()["reason"] == "finished" and len(stage.results()) == 2
    assert stage.failures().count("withheld") == 4


def test_the_calls_of_one_reply_are_made_in_their_order(stage: Stage) -> None:
    calls = (use("bash", command=f"echo {number} >>log; cat log") for number in range(4))
    endpoint = serve(stage, ("tool_use", say("", *calls)))
    stage.perform()
    results = endpoint.requests[1][2]["messages"][-1]["content"]
    assert [block["content"] for block in results] == ["0", "0\n1", "0\n1\n2", "0\n1\n2\n3"]
    call_ids = [
        block["id"] for block in endpoint.requests[1][2]["messages"][-2]["content"] if block["type"] == "tool_use"
    ]
    assert [block["tool_use_id"] for block in results] == call_ids


def test_calls_after_the_one_that_reaches_a_limit_are_answered_and_not_made(stage: Stage) -> None:
    method = "def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"
    run = [use("run_experiment", note=f"number {number}", allow_duplicate=True) for number in range(4)]
    write = use("files", command="create", path="method.py", file_text=method)
    serve(stage, ("tool_use", say("", write, *run, use("bash", command="touch after"))))
    stage.perform()
    assert stage.end()["reason"] == "budget" and len(stage.campaign.started) == 3
    results = stage.entries("message")[-1].data["content"]
    assert [block.get("is_error", False) for block in results] == [False] * 4 + [True] * 2
    assert "not done: 3 experiments of 3 experiments" in results[-1]["content"]
    assert not (stage.folder / "researchers" / NAME / "workspace" / "after").exists()


def test_a_process_lost_between_two_calls_of_a_reply_makes_the_second_and_repeats_the_first_answer(
    stage: Stage,
) -> None:
    def counts() -> Scenario:
        results = yield say("", use("bash", command="echo one >>log; cat log"), use("bash", command="cat log"))
        assert results == ["one", "one"]

    stage.serve(counts)
    brain, context, transcript = stage.brain()
    append = transcript.append

    def append_and_fail(kind: str, **data: object) -> object:
        entry = append(kind, **data)
        if kind == "result":
            raise InterruptedError
        return entry

    stage.monkeypatch.setattr(transcript, "append", append_and_fail)
    with ExitStack() as stack:
        stack.callback(context.close)
        stack.callback(transcript.close)
        with pytest.raises(InterruptedError):
            brain.run()
    stage.perform()
    assert stage.results() == ["one", "one"] and stage.end()["reason"] == "finished"
