"""Operators steer a researcher while it works: they pause and resume it, write to it, and stop it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aar.mock_api.script import Scenario, say, use
from aar.researchers.commands import CommandQueue
from aar.researchers.runtime import ResearcherRuntime
from tests.researchers.brains.claude.conftest import NAME, Stage, until

METHOD = "def supervise(lab):\n    return lab.fine_tune(lab.weak_labels)\n"


def looks() -> Scenario:
    yield say("", use("bash", command="echo looked"))


def waits_for_an_experiment() -> Scenario:
    yield say("", use("files", command="create", path="method.py", file_text=METHOD))
    yield say("", use("run_experiment", note="slow"))
    yield say("", use("experiment", action="wait", experiment="e1", seconds=1000))


@contextmanager
def waiting(stage: Stage) -> Iterator[ResearcherRuntime]:
    """A researcher that waits for an experiment which does not end by itself."""
    stage.campaign.instant = False
    with stage.working() as runtime:
        until(lambda: runtime.status == "uses experiment")
        yield runtime


def test_a_paused_researcher_makes_no_request_and_uses_no_time_until_it_is_resumed(stage: Stage) -> None:
    endpoint, queue = stage.serve(looks), CommandQueue(stage.folder)
    queue.ask("dana", NAME, "pause")
    with stage.working() as runtime:
        until(lambda: runtime.status == "paused")
        time.sleep(2)
        assert endpoint.requests == []
        began = time.monotonic()
        queue.ask("dana", NAME, "resume")
    worked = time.monotonic() - began
    assert stage.end()["reason"] == "finished" and stage.results() == ["looked"]
    _, context, transcript = stage.brain()
    transcript.close()
    assert context.spend.spent(NAME).resources.seconds < worked + 1.5  # the pause itself took longer than two seconds


def test_a_paused_researcher_can_be_stopped(stage: Stage) -> None:
    endpoint, queue = stage.serve(looks), CommandQueue(stage.folder)
    queue.ask("dana", NAME, "pause")
    with stage.working() as runtime:
        until(lambda: runtime.status == "paused")
        queue.ask("dana", NAME, "stop")
    assert endpoint.requests == [] and stage.end()["reason"] == "stopped"


def test_a_message_ends_a_wait_and_is_read_with_its_answer(stage: Stage) -> None:
    endpoint, queue = stage.serve(waits_for_an_experiment), CommandQueue(stage.folder)
    with waiting(stage):
        queue.ask("dana", NAME, "message", "Look at calibration.")
    answer, message = endpoint.requests[3][2]["messages"][-1]["content"]
    assert "running for" in answer["content"] and message["text"].endswith("Look at calibration.")
    assert stage.end()["reason"] == "finished"


def test_a_stop_ends_a_wait(stage: Stage) -> None:
    endpoint, queue = stage.serve(waits_for_an_experiment), CommandQueue(stage.folder)
    with waiting(stage):
        queue.ask("dana", NAME, "stop")
    assert stage.end() == {"reason": "stopped", "why": "a person stopped it"}
    assert len(endpoint.requests) == 3 and "running for" in stage.results()[-1]


def test_the_end_of_the_campaigns_time_ends_a_running_command(stage: Stage) -> None:
    def sleeps() -> Scenario:
        yield say("", use("bash", command="echo begun >begun; sleep 500", seconds=600))

    endpoint = stage.serve(sleeps)
    with stage.working() as runtime:
        until((stage.folder / "researchers" / NAME / "workspace" / "begun").exists)
        runtime.stop()
    assert stage.end()["reason"] == "time" and len(endpoint.requests) == 1
    assert "killed" in stage.results()[0]


def test_a_pause_ends_a_wait_and_the_research_continues_after_it(stage: Stage) -> None:
    endpoint, queue = stage.serve(waits_for_an_experiment), CommandQueue(stage.folder)
    with waiting(stage) as runtime:
        queue.ask("dana", NAME, "pause")
        until(lambda: runtime.status == "paused")
        assert len(endpoint.requests) == 3
        queue.ask("dana", NAME, "resume")
    assert "running for" in stage.results()[-1] and stage.end()["reason"] == "finished"
