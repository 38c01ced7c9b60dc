"""The log for Inspect. Its shape was checked against inspect_ai 0.3.285, which aar does not depend on."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from aar.researchers.transcript import Transcript
from aar.researchers.transcript.inspect_log import inspect_log, log_name


@pytest.fixture
def log(tmp_path: Path) -> dict[str, Any]:
    ada = Transcript(tmp_path / "ada")
    ada.append("reset", system="You do research.", why="first")
    ada.append("message", role="user", content="Begin.")
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}
    ada.append("message", role="assistant", content=[thought, {"type": "text", "text": "I look."}, call], model="m")
    tokens = {"input": 10, "output": 5, "cache_read": 3, "cache_write_5m": 2, "cache_write_1h": 0}
    ada.append("usage", message=3, model="m", tokens=tokens, dollars=0.25)
    ada.append("call", call_id="3.1", id="toolu_1", tool="bash", arguments={"command": "ls"})
    ada.append("result", call_id="3.1", id="toolu_1", tool="bash", text="no such file", is_error=True)
    answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such file", "is_error": True}
    ada.append("message", role="user", content=[answer, {"type": "text", "text": "A person says: hello"}])
    ada.append("end", why="finished")
    eve = Transcript(tmp_path / "eve")
    eve.append("call", call_id="1", id=None, tool="budget", arguments={})
    eve.append("result", call_id="1", id=None, tool="budget", text="plenty", is_error=False)
    return inspect_log("little", {"ada": ada.entries, "eve": eve.entries})


def test_a_researcher_is_a_sample_with_all_that_was_said(log: dict[str, Any]) -> None:
    ada, eve = log["samples"]
    assert [message["role"] for message in ada["messages"]] == ["system", "user", "assistant", "tool", "user"]
    reply, result = ada["messages"][2:4]
    assert [part["type"] for part in reply["content"]] == ["reasoning", "text"]
    assert reply["tool_calls"][0]["function"] == result["function"] == "bash"
    assert result["error"]["message"] == "no such file"
    assert [message["role"] for message in eve["messages"]] == ["assistant", "tool"]


def test_tokens_and_cost_are_in_it(log: dict[str, Any]) -> None:
    usage = log["stats"]["model_usage"]["m"]
    assert (usage["input_tokens"], usage["input_tokens_cache_write"], usage["total_cost"]) == (10, 2, 0.25)
    assert usage["total_tokens"] == 20


def test_the_files_name_begins_with_its_time_as_inspect_view_needs_it(log: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\+00-00_aar-little_little\.json", log_name(log))


def test_a_campaign_is_a_success_once_every_researcher_has_ended(log: dict[str, Any], tmp_path: Path) -> None:
    assert log["status"] == "started"  # eve has not ended
    ben = Transcript(tmp_path / "ben")
    ben.append("end", reason="finished", why="it saw nothing left to do")
    ended = inspect_log("little", {"ben": ben.entries})
    assert ended["status"] == "success" and ended["samples"][0]["metadata"] == {"ended": "it saw nothing left to do"}


@pytest.mark.skipif(importlib.util.find_spec("inspect_ai") is None, reason="inspect_ai is not installed")
def test_inspect_reads_it(log: dict[str, Any], tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    (tmp_path / "log.json").write_text(json.dumps(log))
    samples = read_eval_log(str(tmp_path / "log.json")).samples
    assert samples and len(samples) == 2
