"""How the mock API reads requests, and which it refuses, as the real endpoint does."""

from typing import Any

import pytest

from aar.mock_api.protocol import BadRequest, read_conversation, signature
from aar.mock_api.scenarios import SCENARIOS, assign
from aar.mock_api.script import DONE, Conversation, Scenario, next_reply, say, use

ASKED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "bash", "input": {}}]}
TOLD = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "fine"}]}


def request(*messages: dict[str, Any]) -> dict[str, Any]:
    first = {"role": "user", "content": "Begin."}
    return {"model": "m", "max_tokens": 10, "system": "You are ada, a researcher.", "messages": [first, *messages]}


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def test_a_conversation_is_read_reply_by_reply() -> None:
    assert read_conversation(request()) == Conversation("ada", [])
    assert read_conversation(request(ASKED, TOLD)) == Conversation("ada", [["fine"]])


def test_tool_results_count_whatever_other_text_comes_with_or_after_them() -> None:
    beside = {"role": "user", "content": [*TOLD["content"], {"type": "text", "text": "news"}]}
    assert read_conversation(request(ASKED, beside)).results == [["fine"]]
    assert read_conversation(request(ASKED, TOLD, said("go on in another way"))).results == [["fine"]]
    assert read_conversation(request({"role": "assistant", "content": "done"}, said("go on"))).results == [["go on"]]


def test_a_call_without_its_result_is_refused() -> None:
    with pytest.raises(BadRequest, match="tool_use"):
        read_conversation(request(ASKED, said("never mind")))


def test_a_thought_must_come_back_unchanged() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": signature("hm")}
    read_conversation(request({"role": "assistant", "content": [thought]}, said("go on")))
    with pytest.raises(BadRequest, match="cannot be modified"):
        read_conversation(request({"role": "assistant", "content": [{**thought, "thinking": "ha"}]}, said("go on")))


def test_a_scenario_is_replayed_from_the_conversation_alone() -> None:
    def part() -> Scenario:
        (first,) = yield say("", use("bash"))
        yield say(f"it was {first}")

    assert next_reply(part(), Conversation("ada")).calls[0].tool == "bash"
    assert next_reply(part(), Conversation("ada", [["fine"]])).text == "it was fine"
    assert next_reply(part(), Conversation("ada", [["fine"], ["go on"]])) == DONE


def test_every_researcher_gets_a_scenario() -> None:
    script = assign(f"r{number}" for number in range(5))
    assert len(script) == 5 > len(SCENARIOS)
    assert all(next_reply(part(), Conversation(name)).calls for name, part in script.items())


def test_a_scenario_that_waits_for_others_in_vain_ends_with_a_text() -> None:
    reply, seen = next_reply(SCENARIOS[1]("ada"), Conversation("ada")), Conversation("ada")
    while reply.calls:
        seen.results.append(["No post yet."] * len(reply.calls))
        reply = next_reply(SCENARIOS[1]("ada"), seen)
    assert "Nobody else has posted" in reply.text
