"""The state of a conversation follows from its transcript alone."""

from pathlib import Path
from typing import Any

from aar.researchers.transcript import Transcript
from aar.researchers.transcript.conversation import conversation

CALL: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}
OTHER: dict[str, Any] = {"type": "tool_use", "id": "toolu_2", "name": "budget", "input": {}}


def test_before_the_first_conversation_there_is_nothing(tmp_path: Path) -> None:
    state = conversation(Transcript(tmp_path).entries)
    assert state.system is None and state.messages == [] and state.unanswered == ()


def test_a_reply_with_calls_waits_for_their_results(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("reset", system="S", why="first")
    transcript.append("message", role="user", content="go")
    transcript.append("message", role="assistant", content=[{"type": "text", "text": "on it"}, CALL, OTHER])
    transcript.append("call", call_id="3.1", id="toolu_1", tool="bash", arguments={"command": "ls"})
    transcript.append("result", call_id="3.1", id="toolu_1", tool="bash", text="method.py", is_error=False)
    transcript.append("call", call_id="3.2", id="toolu_2", tool="budget", arguments={})
    state = conversation(transcript.entries)
    assert state.system == "S"
    assert [message["role"] for message in state.messages] == ["user", "assistant"]
    assert [(call.tool, call.call_id) for call in state.unanswered] == [("bash", "3.1"), ("budget", "3.2")]
    assert state.results == {"3.1": ("method.py", False)}
    assert state.begun == {"3.1", "3.2"}


def test_once_the_results_are_sent_nothing_is_unanswered(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("reset", system="S", why="first")
    transcript.append("message", role="assistant", content=[CALL])
    transcript.append("message", role="user", content=[{"type": "tool_result", "tool_use_id": "toolu_1"}])
    assert conversation(transcript.entries).unanswered == ()


def test_a_reset_starts_a_conversation_without_the_old_messages(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("reset", system="S", why="first")
    transcript.append("message", role="user", content="old")
    transcript.append("reset", system="T", why="the context was full")
    transcript.append("message", role="user", content="new")
    state = conversation(transcript.entries)
    assert (state.system, [message["content"] for message in state.messages]) == ("T", ["new"])
