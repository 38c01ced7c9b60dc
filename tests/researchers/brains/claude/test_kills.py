"""kill -9 of a researcher's process at random moments: its conversation resumes, and nothing is done twice."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from aar.budget import UsageStore
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from aar.mock_api.script import Scenario, say, use
from aar.mock_api.server import Endpoint, MockApi
from aar.researchers.transcript import TranscriptEntry, read, transcript_folder
from aar.scoring.store import ScoreStore
from tests.researchers.brains.claude.victim import NAME

KILLS = 20
STEPS = 60
METHOD = "def supervise(lab):\n    return lab.fine_tune(lab.weak_labels, epochs={number})\n"


def works() -> Scenario:
    for number in range(STEPS):
        text = METHOD.format(number=number + 1)
        yield say("", use("bash", command=f"echo {number} >>log; sleep 0.1"),
                  use("forum_post", kind="insight", title=f"insight {number}"), thinking=f"step {number}")  # fmt: skip
        yield say("", use("files", command="create", path="method.py", file_text=text),
                  use("run_experiment", note=f"number {number}", allow_duplicate=True),
                  use("vote", post=1, value=1))  # fmt: skip
    yield say("I have worked.")


def victim(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.researchers.brains.claude.victim", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_somewhere(folder: Path, rng: random.Random) -> bool:
    """Start the researcher and kill it at a random moment; False: it had ended before."""
    process = victim(folder)
    assert process.stdout and process.stdout.readline() == "begins\n"
    time.sleep(rng.uniform(0, 1.5))
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


def transcript(folder: Path) -> list[TranscriptEntry]:
    return list(read(transcript_folder(folder, NAME)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_researcher_killed_twenty_times_does_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = int(time.time())
    print("seed", seed)
    rng = random.Random(seed)
    endpoint = Endpoint({NAME: works})
    monkeypatch.setenv("ANTHROPIC_API_KEY", "rehearsal")
    with MockApi(endpoint) as rehearsal:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", rehearsal.url)
        kills = sum(kill_somewhere(tmp_path, rng) for _ in range(KILLS))
        last = victim(tmp_path)
        assert last.wait(300) == 0
    entries = transcript(tmp_path)
    assert kills >= KILLS - 2 and entries[-1].data["reason"] == "finished"
    assert [entry.kind for entry in entries].count("reset") == 1, "its conversation was lost"
    calls_begun = [entry for entry in entries if entry.kind == "call"]
    assert len({entry.data["call_id"] for entry in calls_begun}) == len(calls_begun) == 5 * STEPS
    check_each_was_done_once(tmp_path, entries)
    replies = [entry for entry in entries if entry.kind == "message" and entry.data["role"] == "assistant"]
    lost = len(endpoint.requests) - len(replies)
    assert lost <= kills, "more than the reply in flight was lost"
    assert UsageStore(tmp_path).spent().resources.experiments == len(accepted(entries, "run_experiment", "note"))


def check_each_was_done_once(folder: Path, entries: list[TranscriptEntry]) -> None:
    """Commands ran at most once, and missing ones were reported as uncertain. The rest was done exactly once."""
    lines = (folder / "researchers" / NAME / "workspace" / "log").read_text().split()
    assert max(Counter(lines).values()) == 1
    uncertain = [entry for entry in entries if entry.kind == "result" and "may have happened" in entry.data["text"]]
    assert len(lines) >= STEPS - len(uncertain)
    posts = Forum(folder / "forum.sqlite", read_only=True).posts(limit=1000)
    titles = [post.title.text for post in posts if post.title.text.startswith("insight")]
    assert titles == [f"insight {number}" for number in range(STEPS)]
    done = accepted(entries, "run_experiment", "note")
    results = [entry for entry in entries if entry.kind == "result"]
    written = next(entry.number for entry in results if entry.data["tool"] == "files" and not entry.data["is_error"])
    refused = [entry for entry in results if entry.data["tool"] == "run_experiment" and entry.data["is_error"]]
    assert len(done) + len(refused) == STEPS
    assert all(entry.number < written for entry in refused), "only an interrupted first method can be missing"
    assert [entry.note.text for entry in ScoreStore(folder, read_only=True).experiments()] == done
    messages = [snapshot.message.text for snapshot in CodeStore(folder / "code.git", read_only=True).log(1000)]
    assert sorted(messages) == sorted(done)


def accepted(entries: list[TranscriptEntry], tool: str, argument: str) -> list[str]:
    """An argument of every call of a tool that was not refused, in their order."""
    refused = {entry.data["call_id"] for entry in entries if entry.kind == "result" and entry.data["is_error"]}
    calls = [entry.data for entry in entries if entry.kind == "call" and entry.data["tool"] == tool]
    return [call["arguments"][argument] for call in calls if call["call_id"] not in refused]
