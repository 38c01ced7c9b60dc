"""A claude researcher: it converses, uses tools, receives messages, and ends when it sees nothing left to do."""

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from aar.config import ResearcherBudget
from aar.errors import ModelAccessError
from aar.mock_api.script import Scenario, say, use
from aar.researchers.commands import CommandQueue, mark_of
from aar.researchers.transcript import Transcript, TranscriptEntry
from aar.researchers.transcript.conversation import conversation
from tests.researchers.brains.claude.conftest import NAME, Stage

METHOD = "def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"


def researcher() -> Scenario:
    yield say("First I look.", use("bash", command="ls /shared/lab"), use("budget"), thinking="What is there?")
    yield say("", use("files", command="create", path="method.py", file_text=METHOD))
    yield say("", use("run_experiment", note="soft labels"))
    (outcome,) = yield say("", use("experiment", action="wait", experiment="e1"))
    yield say("", use("forum_post", kind="result", title="Soft labels", body=outcome, experiment="e1", family="soft"))
    yield say("That is all.")


def looks_twice() -> Scenario:
    yield say("", use("bash", command="echo once >>log"))
    yield say("", use("bash", command="cat log"))


def test_a_researcher_does_its_research_and_ends(stage: Stage) -> None:
    endpoint = stage.serve(researcher)
    entries = stage.perform()
    assert stage.end() == {"reason": "finished", "why": "it saw nothing left to do"}
    posts = stage.campaign.forum.posts()
    assert [post.title.text for post in posts] == ["Soft labels", f"{NAME} has ended: it saw nothing left to do"]
    assert "PGR 0.60" in posts[0].body.text and "I see nothing left to do." in posts[1].body.text
    kinds = [block["type"] for entry in entries if entry.kind == "message" for block in entry.data["content"]]
    assert "thinking" in kinds and kinds.count("tool_use") == kinds.count("tool_result") == 6
    assert len(endpoint.requests) == 7


def test_the_request_follows_the_settings(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    stage.perform(effort="low", cache="1h", compact_at=60_000)
    request = endpoint.requests[0][2]
    assert request["model"] == "claude-opus-5-5" and request["output_config"] == {"effort": "low"}
    assert request["thinking"]["type"] == "adaptive" and request["cache_control"]["ttl"] == "1h"
    assert request["context_management"]["edits"][0]["trigger"] == {"type": "input_tokens", "value": 60_000}
    assert f"You are {NAME}" in request["system"] and "thread" not in request
    names = [tool["name"] for tool in request["tools"]]
    assert names[:3] == ["bash", "files", "run_experiment"] and len(names) == 15
    first = request["messages"][0]["content"][0]["text"]
    assert "The strong model knew something" in first and "3 experiments left" in first


def test_settings_that_are_none_are_not_sent(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    stage.perform(effort=None, cache=None, compact_at=None, thinking=None)
    sent = endpoint.requests[0][2]
    assert set(sent) == {"model", "max_tokens", "system", "stream", "messages", "tools"}


def test_the_prefix_of_a_conversation_never_changes(stage: Stage) -> None:
    endpoint = stage.serve(researcher)
    stage.perform()
    sent = [request["messages"] for _, _, request in endpoint.requests]
    assert all(longer[: len(shorter)] == shorter for shorter, longer in pairwise(sent))


def test_every_token_is_counted_once_with_its_price(stage: Stage) -> None:
    stage.serve(researcher)
    entries = stage.perform()
    usage = [entry.data for entry in entries if entry.kind == "usage"]
    _, context, transcript = stage.brain()
    spent = context.spend.spent(NAME)
    transcript.close()
    assert len(usage) == 7 and spent.resources.dollars > 0
    assert spent.resources.dollars == sum(record["dollars"] for record in usage)
    assert spent.tokens.cache_read > 0 and spent.tokens.cache_write_5m > 0
    assert spent.resources.seconds > 0


def test_the_first_end_of_a_turn_is_answered_with_the_remaining_budget(stage: Stage) -> None:
    def hesitates() -> Scenario:
        (nudge,) = yield say("I am done, I think.")
        assert "3 experiments left" in nudge
        yield say("No, I go on.", use("budget"))

    stage.serve(hesitates)
    entries = stage.perform()
    assert [entry.data["tool"] for entry in entries if entry.kind == "result"] == ["budget"]
    assert stage.end()["reason"] == "finished"


def test_a_message_of_a_person_is_read_at_the_next_turn_and_once(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    commands = CommandQueue(stage.folder)
    commands.ask("dana", NAME, "message", "Look at calibration.")
    commands.ask("dana", "researcher-2", "message", "Not for you.")
    stage.perform()
    texts = [block.get("text", "") for block in endpoint.requests[-1][2]["messages"][0]["content"]]
    mark = mark_of(stage.folder, NAME)
    assert f"[{mark}] message from dana, an operator of this campaign:\nLook at calibration." in texts
    assert f"begin with [{mark}]" in str(endpoint.requests[-1][2]["system"])
    everything = str(endpoint.requests[-1][2]["messages"])
    assert everything.count("Look at calibration") == 1 and "Not for you" not in everything
    assert [entry.data["action"] for entry in stage.entries("command")] == ["message"]


def test_a_new_direction_reaches_the_model(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    CommandQueue(stage.folder).ask("dana", NAME, "direction", "curriculum")
    stage.perform()
    assert "In which order should it meet the labels?" in str(endpoint.requests[0][2]["messages"])


@pytest.mark.parametrize(("direction", "text"), [("", "no assigned direction"), ("/gone.md", "can no longer be read")])
def test_a_missing_or_unreadable_direction_does_not_end_a_researcher(stage: Stage, direction: str, text: str) -> None:
    endpoint = stage.serve(looks_twice)
    CommandQueue(stage.folder).ask("dana", NAME, "direction", direction)
    stage.perform()
    assert text in str(endpoint.requests[0][2]["messages"]) and stage.end()["reason"] == "finished"


def test_a_restarted_conversation_has_the_latest_direction(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice, {(NAME, 1): ("too_long",)})
    CommandQueue(stage.folder).ask("dana", NAME, "direction", "curriculum")
    stage.perform()
    first = endpoint.requests[2][2]["messages"][0]["content"][0]["text"]
    assert "has been restarted" in first and "In which order should it meet the labels?" in first


def test_a_stopped_researcher_stays_stopped_without_a_second_summary(stage: Stage) -> None:
    stage.serve(looks_twice)
    CommandQueue(stage.folder).ask("dana", NAME, "stop")
    stage.perform()
    before = len(stage.entries())
    stage.perform()
    assert len(stage.entries()) == before and len(stage.campaign.forum.posts()) == 1


def test_a_stopped_researcher_ends_with_a_note_and_without_another_request(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    CommandQueue(stage.folder).ask("dana", NAME, "stop")
    stage.perform()
    assert endpoint.requests == [] and stage.end()["why"] == "a person stopped it"
    assert "a person stopped it" in stage.campaign.forum.posts()[-1].title.text


def test_posts_by_others_are_announced_and_available_as_files(stage: Stage) -> None:
    def reads() -> Scenario:
        results = yield say("", use("bash", command="cat /shared/forum/*"))
        assert "> I found it." in results[0]

    endpoint = stage.serve(reads)
    stage.campaign.forum.post("somebody", "insight", "News", "I found it.", key="1")
    stage.perform()
    message = str(endpoint.requests[0][2]["messages"])
    assert f"[{mark_of(stage.folder, NAME)}] from the platform:\\n1 new posts on the forum" in message


def test_a_finished_researcher_does_not_resume(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    stage.perform()
    before = len(stage.entries()), len(endpoint.requests)
    stage.perform()
    assert (len(stage.entries()), len(endpoint.requests)) == before


def test_without_credentials_it_says_what_to_set(stage: Stage) -> None:
    stage.serve(looks_twice)
    stage.monkeypatch.delenv("ANTHROPIC_API_KEY")
    stage.monkeypatch.setenv("HOME", str(stage.folder))
    try:
        stage.perform()
    except ModelAccessError as error:
        assert "ANTHROPIC_API_KEY" in str(error)
    else:
        raise AssertionError("it went on without credentials")


def test_no_credential_is_written_anywhere(stage: Stage) -> None:
    stage.monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")
    stage.serve(researcher)
    stage.perform()
    files = [path for path in stage.folder.rglob("*") if path.is_file()]
    assert files and all(b"sk-very-secret" not in path.read_bytes() for path in files)


def budgeted(stage: Stage, **limits: Any) -> None:
    researchers = [
        researcher.model_copy(update={"budget": ResearcherBudget(**limits)}) for researcher in stage.config.researchers
    ]
    stage.config = stage.config.model_copy(update={"researchers": researchers})


def works_forever() -> Scenario:
    number = 0
    while True:
        number += 1
        method = f"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels, epochs={number})\n"
        yield say("Next.", use("files", command="create", path="method.py", file_text=method))
        yield say("", use("run_experiment", note=f"number {number}", allow_duplicate=True))


def test_dollars_and_tokens_end_a_researcher_within_one_reply_with_nothing_lost(stage: Stage) -> None:
    for limits, words in (({"dollars": 0.2}, r"$0.20"), ({"tokens": 60_000}, "60,000 tokens")):
        budgeted(stage, **limits)
        plenty = stage.config.budget.model_copy(update={"experiments_per_researcher": 99})
        stage.config = stage.config.model_copy(update={"budget": plenty})
        endpoint = stage.serve(works_forever)
        stage.perform()
        assert stage.end()["reason"] == "budget" and words in stage.end()["why"]
        _, context, transcript = stage.brain()
        transcript.close()
        used = next(limit for limit in context.limits() if limit.what in limits)
        last = [entry.data for entry in stage.entries("usage")][-1]
        step = last["dollars"] if "dollars" in limits else sum(last["tokens"].values())
        assert used.maximum <= used.used < used.maximum + step
        assert words in stage.campaign.forum.posts()[-1].title.text
        requests = len(endpoint.requests)
        stage.perform()  # the same again: nothing happens
        assert len(endpoint.requests) == requests
        state = conversation(stage.entries())
        assert state.messages[-1]["role"] == "assistant"


def test_time_ends_a_researcher_even_while_a_tool_waits(stage: Stage) -> None:
    def waits() -> Scenario:
        yield say("", use("files", command="create", path="method.py", file_text=METHOD))
        yield say("", use("run_experiment", note="slow"))
        yield say("", use("experiment", action="wait", experiment="e1", seconds=1000))

    stage.campaign.instant = False
    budgeted(stage, minutes=0.05)
    stage.serve(waits)
    stage.perform()
    assert stage.end()["reason"] == "budget" and "3 s of wall time" in stage.end()["why"]


def test_the_experiment_beyond_the_limit_ends_a_researcher(stage: Stage) -> None:
    stage.serve(works_forever)
    stage.perform()
    assert "3 experiments of 3 experiments" in stage.end()["why"]
    assert len(stage.campaign.started) == 3
    assert conversation(stage.entries()).unanswered == ()


def test_a_raised_budget_lets_a_researcher_resume(stage: Stage) -> None:
    budgeted(stage, dollars=0.2)
    stage.serve(looks_twice)
    budgeted(stage, dollars=0.0001)
    stage.perform()
    assert stage.end()["reason"] == "budget"
    budgeted(stage, dollars=5)
    stage.perform()
    assert stage.end()["reason"] == "finished"
    assert (stage.folder / "researchers" / NAME / "workspace" / "log").read_text() == "once\n"


def test_each_reply_is_one_line_in_the_log_with_its_tokens_dollars_and_seconds(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    stage.serve(researcher)
    with caplog.at_level("INFO", logger="aar.researchers"):
        entries = stage.perform()
    usage = [entry.data for entry in entries if entry.kind == "usage"]
    form = re.compile(rf"{NAME}/message/\d+: (\d+) tokens in \((\d+) cached\), (\d+) out, \$(\d+\.\d{{4}}), \d+\.\d s")
    replies = [match for record in caplog.records if (match := form.fullmatch(record.getMessage()))]
    assert len(replies) == len(usage)
    for reply, record in zip(replies, usage, strict=True):
        assert int(reply[3]) == record["tokens"]["output"] and float(reply[4]) == pytest.approx(
            record["dollars"], abs=1e-4
        )
    assert any(record.getMessage() == f"{NAME}: uses bash" for record in caplog.records)
    assert "sk-ant" not in caplog.text


def interrupted_after(stage: Stage, is_last: Callable[[TranscriptEntry], bool]) -> None:
    """The process is gone as soon as the first such entry is on disk, and another one resumes."""
    brain, context, transcript = stage.brain()
    append = transcript.append

    def append_and_fail(kind: Any, **data: Any) -> TranscriptEntry:
        entry = append(kind, **data)
        if is_last(entry):
            raise InterruptedError
        return entry

    stage.monkeypatch.setattr(transcript, "append", append_and_fail)
    with pytest.raises(InterruptedError):
        brain.run()
    transcript.close()
    context.close()
    stage.perform()


def is_reply(entry: TranscriptEntry, stop_reason: str) -> bool:
    return entry.kind == "message" and entry.data.get("stop_reason") == stop_reason


def test_a_process_lost_right_after_a_reply_that_ended_its_turn_nudges_when_it_resumes(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice)
    interrupted_after(stage, lambda entry: is_reply(entry, "end_turn"))
    assert stage.end()["reason"] == "finished" and len(endpoint.requests) == 4
    assert [entry.data["why"] for entry in stage.entries("reset")] == ["first"]


def test_a_process_lost_right_after_a_reply_that_was_cut_off_at_its_longest_runs_none_of_its_calls(
    stage: Stage,
) -> None:
    stage.serve(looks_twice, {(NAME, 0): ("max_tokens",)})
    interrupted_after(stage, lambda entry: is_reply(entry, "max_tokens"))
    assert not (stage.folder / "researchers" / NAME / "workspace" / "log").exists()
    assert len(stage.entries("call")) == 1 and stage.end()["reason"] == "finished"


def test_a_process_lost_right_after_a_reset_says_why_and_gives_the_notes_when_it_resumes(stage: Stage) -> None:
    endpoint = stage.serve(looks_twice, {(NAME, 1): ("too_long",)})
    interrupted_after(stage, lambda entry: entry.kind == "reset" and entry.data["why"] != "first")
    (message,) = endpoint.requests[2][2]["messages"]
    assert "prompt is too long" in message["content"][0]["text"]


def test_processes_that_are_lost_after_each_entry_do_nothing_twice(stage: Stage) -> None:
    def works() -> Scenario:
        yield say("", use("forum_post", kind="insight", title="Once"), use("bash", command="echo once >>log"))

    stage.serve(works)
    for _ in range(30):
        brain, context, transcript = stage.brain()
        with suppress(InterruptedError):
            stop_after(2, transcript, stage.monkeypatch)  # it says that it starts, and does one thing more
            brain.run()
        transcript.close()
        context.close()
        if stage.entries()[-1].kind == "end":
            break
    assert stage.end()["reason"] == "finished" and len(stage.entries("reset")) == 1
    assert len({entry.data["call_id"] for entry in stage.entries("call")}) == len(stage.entries("call")) == 2
    assert [post.title.text for post in stage.campaign.forum.posts()].count("Once") == 1
    assert "may have happened" in stage.results()[1]


def stop_after(entries: int, transcript: Transcript, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is gone once `entries` more are on disk."""
    append, last = transcript.append, len(transcript.entries) + entries

    def append_and_fail(kind: Any, **data: Any) -> TranscriptEntry:
        entry = append(kind, **data)
        if entry.number >= last:
            raise InterruptedError
        return entry

    monkeypatch.setattr(transcript, "append", append_and_fail)
