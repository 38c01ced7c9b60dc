"""Failures between a researcher and its model: all are recorded, and survived or a reason to end."""

from typing import get_args

import pytest

from aar.config import ResearcherBudget
from aar.mock_api.script import Fault, Scenario, ToolUse, say, use
from aar.researchers.transcript.conversation import conversation
from tests.researchers.brains.claude.conftest import NAME, Stage, until

SURVIVED: tuple[Fault, ...] = ("429", "500", "529", "drop", "cut", "garbage", "overloaded", "slow", "refusal")
STEPS = 3
MIB = 2**20


def counts() -> Scenario:
    for number in range(STEPS):
        yield say(f"step {number}", use("bash", command=f"echo {number} >>log"), thinking="on it")
    yield say("Done counting.")


def log(stage: Stage) -> list[str]:
    return (stage.folder / "researchers" / NAME / "workspace" / "log").read_text().split()


@pytest.mark.parametrize("fault", SURVIVED)
def test_a_transient_failure_costs_at_most_one_reply_and_is_recorded(stage: Stage, fault: Fault) -> None:
    stage.serve(counts, {("*", 0): (fault,), ("*", 2): (fault,)})
    stage.perform()
    assert stage.end()["reason"] == "finished"
    assert log(stage) == ["0", "1", "2"]
    assert (fault == "slow") or stage.failures()


def test_a_failure_that_outlasts_the_packages_own_retries_is_waited_out(stage: Stage) -> None:
    stage.serve(counts, {("*", 1): ("529",) * 7})
    stage.perform()
    waits = [entry.data["waits"] for entry in stage.entries("api_failure") if "waits" in entry.data]
    assert len(waits) == 2 and waits[1] == 2 * waits[0]
    assert "overloaded" in stage.failures() and "answered 529" in stage.failures()
    assert log(stage) == ["0", "1", "2"]


@pytest.mark.parametrize("fault", ["413", "too_long", "400"])
def test_a_conversation_that_is_too_long_restarts_with_the_notes(stage: Stage, fault: Fault) -> None:
    def remembers() -> Scenario:
        yield say("", use("lab_notes", command="create", path="/memories/plan.md", file_text="try EM next"))
        yield say("never heard")

    endpoint = stage.serve(remembers, {(NAME, 1): (fault,)})
    stage.perform()
    began = [entry.data["why"] for entry in stage.entries("reset")]
    assert len(began) == 2 and began[0] == "first"
    first = endpoint.requests[2][2]["messages"]
    assert len(first) == 1 and "/memories/plan.md:\ntry EM next" in str(first[0]["content"][0]["text"])


@pytest.mark.parametrize(
    "flood", [use("no_such_tool", text="x" * 8 * MIB), use("t" * 3 * MIB)], ids=["arguments", "name"]
)
def test_a_reply_that_is_too_large_is_paid_for_and_not_kept(stage: Stage, flood: ToolUse) -> None:
    floods = [flood]

    def floods_once() -> Scenario:
        yield say("", floods.pop() if floods else use("bash", command="echo small"))

    stage.serve(floods_once)
    stage.perform()
    assert stage.end()["reason"] == "finished" and stage.results() == ["small"]
    assert "it is longer than 1048576 bytes" in stage.failures()
    assert [entry.data["message"] for entry in stage.entries("api_failure")].count("a reply was cut off") == 1
    home = stage.folder / "researchers" / NAME
    assert sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) < MIB


def test_a_full_transcript_ends_a_researcher_that_keeps_talking(stage: Stage) -> None:
    def talks() -> Scenario:
        for number in range(100):
            yield say(f"{number}" * 100_000, use("budget"))

    stage.config = stage.config.model_copy(
        update={"budget": stage.config.budget.model_copy(update={"researcher": ResearcherBudget(storage_mib=16)})}
    )
    stage.serve(talks)
    stage.perform()
    assert stage.end()["reason"] == "budget" and f"storage for {NAME} is full (transcript: 1." in stage.end()["why"]
    assert len(stage.entries("message")) < 30


def test_a_request_that_is_refused_from_the_first_is_final_and_says_why(stage: Stage) -> None:
    stage.serve(counts, {("*", 0): ("400",) * 9})
    stage.perform()
    assert stage.end()["reason"] == "failed" and "something is wrong with the request" in stage.end()["why"]


def test_refused_credentials_are_final_and_say_what_to_do(stage: Stage) -> None:
    stage.serve(counts, {("*", 1): ("401",)})
    stage.perform()
    assert stage.end()["reason"] == "failed" and "check the key" in stage.end()["why"]
    assert "refuses the credentials" in stage.campaign.forum.posts()[-1].title.text
    stage.perform()  # with a better key it resumes
    assert stage.end()["reason"] == "finished" and log(stage) == ["0", "1", "2"]


def test_an_endpoint_that_is_not_there_is_waited_for_until_it_is(stage: Stage) -> None:
    stage.monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    with stage.working() as runtime:
        until(lambda: [entry for entry in stage.entries("api_failure") if "waits" in entry.data])
        runtime.stop()
    assert "was not reached" in stage.failures() and stage.end()["reason"] == "time"
    stage.serve(counts)
    stage.perform()
    assert stage.end()["reason"] == "finished" and log(stage) == ["0", "1", "2"]


def test_replies_that_are_withheld_again_and_again_end_the_researcher(stage: Stage) -> None:
    endpoint = stage.serve(counts, {("*", 1): ("refusal",) * 9})
    stage.perform()
    assert "withheld" in stage.end()["why"] and len(endpoint.requests) == 4
    assert "in a different way" in str(endpoint.requests[-1][2]["messages"])


def test_a_reply_cut_off_at_the_maximum_length_runs_no_tool_and_continues(stage: Stage) -> None:
    endpoint = stage.serve(counts, {("*", 1): ("max_tokens",)})
    stage.perform()
    assert log(stage) == ["0", "2"]
    assert "reached the maximum length" in str(endpoint.requests[2][2]["messages"][-1])


def test_unknown_tools_and_wrong_arguments_are_answered(stage: Stage) -> None:
    def confused() -> Scenario:
        wrong = use("web_search", query="x"), use("bash", comand="ls")
        results = yield say("", *wrong, use("bash", command="echo fine"))
        assert "web_search" in results[0] and "run_experiment" in results[0]
        assert "Arguments: command" in results[1] and results[2] == "fine"
        yield say("", use("files", command="create", path="ok", file_text="ok"))

    stage.serve(confused)
    stage.perform()
    assert stage.results()[-1].startswith("wrote")
    assert conversation(stage.entries()).messages[2]["content"][0]["is_error"]


def test_the_tokens_of_a_cut_off_reply_are_counted(stage: Stage) -> None:
    stage.serve(counts, {("*", 1): ("drop",)})
    stage.perform()
    counted = stage.entries("usage")
    assert len(counted) == STEPS + 1 + 1 + 1


def test_every_fault_of_the_mock_api_is_tried_here() -> None:
    assert set(get_args(Fault)) == {*SURVIVED, "400", "401", "413", "too_long", "max_tokens"}
