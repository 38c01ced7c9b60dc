"""An external researcher: others think, it answers; its calls are limited, written down and made once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.config import ResearcherBudget
from aar.researchers.commands import CommandQueue, mark_of
from aar.researchers.transcript import read, transcript_folder
from tests.researchers.brains.external.conftest import NewBrain
from tests.researchers.client_double import Campaign

NAME = "researcher-1"


def test_it_has_the_same_tools_and_a_transcript(new_brain: NewBrain, tmp_path: Path) -> None:
    brain = new_brain()
    assert brain.call("bash", {"command": "echo hi"}).text == "hi"
    assert brain.call("bash", {"comand": "ls"}).is_error
    entries = list(read(transcript_folder(tmp_path, NAME)))
    assert [entry.kind for entry in entries] == ["call", "result"] * 2
    assert entries[0].data["arguments"] == {"command": "echo hi"}


def test_a_call_that_is_sent_again_under_its_key_is_made_once(new_brain: NewBrain, campaign: Campaign) -> None:
    post = {"kind": "insight", "title": "Once"}
    first = new_brain().call("forum_post", post, "mine")
    assert new_brain().call("forum_post", post, "mine") == first
    assert len(campaign.forum.posts()) == 1
    new_brain().call("forum_post", post, "another")
    assert len(campaign.forum.posts()) == 2


def test_calls_under_one_key_at_the_same_time_are_one_call(new_brain: NewBrain, campaign: Campaign) -> None:
    brain = new_brain()
    slow = {"command": "sleep 0.5; echo x >>log; wc -l <log"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: brain.call("bash", slow, "mine").text, range(4)))
    assert answers == ["1"] * 4 and brain.call("bash", slow, "mine").text == "1"


def test_calls_at_the_same_time_do_not_disturb_each_other(new_brain: NewBrain, campaign: Campaign) -> None:
    brain = new_brain()
    for number in range(30):
        campaign.forum.post("somebody", "insight", f"News {number}", "", key=str(number))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: brain.call("forum_read", {}), range(8)))
    assert not any(answer.is_error for answer in answers)


def test_a_key_that_looks_like_a_path_leads_nowhere(new_brain: NewBrain, tmp_path: Path) -> None:
    answer = new_brain().call("bash", {"command": "seq 10000"}, "/../../../../victim")
    assert "/shared/outputs/key-" in answer.text and not list(tmp_path.rglob("victim*"))
    assert tmp_path.stat().st_mode & 0o077 == 0


def test_an_ended_researcher_stays_ended_in_its_next_process(
    new_brain: NewBrain, tmp_path: Path, campaign: Campaign
) -> None:
    brain = new_brain()
    CommandQueue(tmp_path).ask("dana", NAME, "stop")
    assert "a person stopped it" in brain.call("budget", {}).text
    again = new_brain()
    again.run()
    assert "a person stopped it" in again.call("bash", {"command": "ls"}).text
    assert len(campaign.forum.posts()) == 1


def test_an_operators_message_comes_with_the_next_answer_once(new_brain: NewBrain, tmp_path: Path) -> None:
    brain = new_brain()
    CommandQueue(tmp_path).ask("dana", NAME, "message", "Try EM.")
    assert brain.call("budget", {}).text.endswith(
        f"[{mark_of(tmp_path, NAME)}] message from dana, an operator of this campaign:\nTry EM."
    )
    assert "Try EM" not in brain.call("budget", {}).text


def test_a_paused_researcher_takes_no_calls(new_brain: NewBrain, tmp_path: Path) -> None:
    brain = new_brain()
    CommandQueue(tmp_path).ask("dana", NAME, "pause")
    assert "paused" in brain.call("budget", {}).text


def test_its_budget_ends_it_with_a_note_and_then_it_says_why(new_brain: NewBrain, campaign: Campaign) -> None:
    brain = new_brain(budget=ResearcherBudget(experiments=1))
    for epochs in (1, 2):
        source = f"def supervise(lab):\n    return lab.fine_tune(lab.weak_labels, epochs={epochs})\n"
        brain.call("files", {"command": "create", "path": "method.py", "file_text": source})
        answer = brain.call("run_experiment", {"note": f"{epochs}", "allow_duplicate": True})
    assert answer.is_error and "1 experiments of 1 experiments" in answer.text
    assert "has ended" in brain.call("bash", {"command": "ls"}).text
    assert [post.author for post in campaign.forum.posts()] == [NAME]


def test_it_runs_until_it_is_stopped(new_brain: NewBrain, tmp_path: Path) -> None:
    brain = new_brain()
    living = threading.Thread(target=brain.run)
    living.start()
    CommandQueue(tmp_path).ask("dana", NAME, "stop")
    living.join(10)
    assert not living.is_alive()
    assert "a person stopped it" in brain.call("budget", {}).text


@pytest.mark.parametrize(
    ("tool", "key", "text"),
    [
        ("budget", "k" * 201, "key may have at most 200 characters"),
        ("b" * 65, None, "name may have at most 64 characters"),
    ],
    ids=["key", "tool"],
)
def test_a_call_beyond_a_bound_is_refused_and_leaves_no_trace(
    new_brain: NewBrain, tmp_path: Path, tool: str, key: str | None, text: str
) -> None:
    answer = new_brain().call(tool, {}, key)
    assert answer.is_error and text in answer.text and "nothing was done" in answer.text
    assert list(read(transcript_folder(tmp_path, NAME))) == []


def test_time_without_calls_does_not_count(new_brain: NewBrain) -> None:
    brain = new_brain(budget=ResearcherBudget(minutes=0.05))
    time.sleep(3.5)
    assert not brain.call("budget", {}).is_error
    time.sleep(3.5)
    assert (
        "3 s of wall time used by researcher-1" in brain.call("budget", {}).text
    )  # it was at work since its last call


def test_a_new_direction_comes_with_the_next_answer(new_brain: NewBrain, tmp_path: Path) -> None:
    CommandQueue(tmp_path).ask("dana", NAME, "direction", "curriculum")
    assert "In which order should it meet the labels?" in new_brain().call("budget", {}).text


def test_a_paused_researcher_takes_calls_again_once_it_is_resumed(new_brain: NewBrain, tmp_path: Path) -> None:
    brain, queue = new_brain(), CommandQueue(tmp_path)
    queue.ask("dana", NAME, "pause")
    assert brain.call("budget", {}).text == "an operator has paused this researcher; retry when it is resumed"
    queue.ask("dana", NAME, "resume")
    time.sleep(0.6)
    assert not brain.call("budget", {}).is_error
