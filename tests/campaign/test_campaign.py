"""A whole campaign, as a user runs it: in a process of its own: real Ray, training, sandboxes and databases."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aar.campaign.state import read_state
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from tests.campaign.tiny_campaign import finish, kill, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.campaign]


VICTIMS = ("aar.guest.run_method", "Experiments", "RayTrainWorker", "Commons", "Scorer", "Researcher", "Compute")
"""What is killed, by what its command line contains: a method's process, then one actor of each kind."""


def campaign(tiny: Path) -> Path:
    return tiny.parent / "campaign"


def counts(folder: Path) -> dict[str, list[object]]:
    """What must never be lost: posts, snapshots, scores."""
    forum, store = (
        Forum(folder / "commons/forum.sqlite", read_only=True),
        CodeStore(folder / "commons/code.git", read_only=True),
    )
    return {
        "posts": [(post.author, post.title.text) for post in forum.posts(limit=1000)],
        "snapshots": sorted(snapshot.id for snapshot in store.log(1000)),
        "scores": [(one.id, one.score) for one in read_state(folder).experiments if one.status == "scored"],
    }


def test_a_campaign_runs_to_its_end_and_says_so_at_once_when_run_again(tiny: Path) -> None:
    output = finish(start("run", tiny))
    state = read_state(campaign(tiny))
    assert state.phase == "finished"
    assert not state.running
    assert state.weak_acc is not None and state.ceiling_acc is not None and state.weak_acc < state.ceiling_acc
    assert [one.status for one in state.experiments] == ["scored"] * 5
    assert {one.researcher for one in state.experiments} == {"platform", "ada", "ben"}
    assert state.reference is not None and state.reference.score is not None
    assert all(one.score.pgr_low <= one.score.pgr <= one.score.pgr_high for one in state.scored if one.score)
    [verified] = state.verifications
    assert {one.control: one.verdict for one in verified.controls}.keys() == {
        "shuffled", "teachers", "recipe", "capability",
    }  # fmt: skip
    assert verified.seeds and verified.candidates == 4
    assert (campaign(tiny) / "audit.md").is_file()
    assert "PGR" in output and str(campaign(tiny)) in output
    assert "Logs:      /" in output and "Dashboard: http://127.0.0.1:" in output and "auth_token` prints" in output
    assert "baselines: 9 of 9 fits done" in output
    assert (campaign(tiny) / "best-pgr.png").read_bytes().startswith(b"\x89PNG")
    before = counts(campaign(tiny))
    kinds = [post.kind for post in Forum(campaign(tiny) / "commons/forum.sqlite", read_only=True).posts()]
    assert kinds.count("hypothesis") == kinds.count("result") == 4

    began = time.monotonic()
    again = finish(start("run", tiny))
    assert time.monotonic() - began < 10
    assert "finished" in again and counts(campaign(tiny)) == before

    leaderboard = json.loads(finish(start("leaderboard", "--json", campaign(tiny))))
    assert leaderboard["verifications"] and leaderboard["ledger_head"]


def test_a_killed_driver_and_a_stopped_one_lose_nothing_and_the_same_command_goes_on(tiny: Path) -> None:
    folder = campaign(tiny)
    first = start("run", tiny)
    wait_for(
        "a researcher's experiment",
        lambda: (folder / "scores.sqlite").exists() and len(read_state(folder).experiments) > 1,
    )
    first.kill()
    first.communicate()
    before = counts(folder)

    second = start("run", tiny)
    wait_for("the same research", lambda: read_state(folder).running and read_state(folder).phase == "research")
    finish(start("stop", folder))
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 130, output
    assert "aar run" in output
    assert read_state(folder).phase == "stopped"

    finish(start("run", tiny))
    after = counts(folder)
    assert all(after[kind][: len(before[kind])] == before[kind] for kind in ("posts", "scores"))
    assert set(before["snapshots"]) <= set(after["snapshots"])
    assert read_state(folder).phase == "finished"
    assert [one.status for one in read_state(folder).experiments] == ["scored"] * 5
    assert len(set(after["posts"])) == len(after["posts"])


def test_any_process_may_be_killed_at_any_moment(tiny: Path) -> None:
    folder, process = campaign(tiny), start("run", tiny, "budget.experiments_per_researcher=4")
    wait_for("research", lambda: (folder / "scores.sqlite").exists() and len(read_state(folder).experiments) > 1)
    for victim in VICTIMS:
        wait_for(f"a {victim} to kill", lambda victim=victim: kill(process, victim))
    finish(process)
    experiments = read_state(folder).experiments
    failures = [one.failure.text for one in experiments if one.failure]
    assert len(experiments) == 9
    assert len(failures) <= 1 and all("killed" in failure for failure in failures)
    posts = counts(folder)["posts"]
    assert len(set(posts)) == len(posts) == 16


def test_methods_by_hand_are_scored_verified_and_told_what_is_wrong_with_them(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def supervise(lab)\n    return None\n")
    refused = subprocess.run([sys.executable, "-m", "aar", "try", broken, tiny], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "line 1" in refused.stderr and "Traceback" not in refused.stderr

    wrong = tmp_path / "wrong.py"
    wrong.write_text("import numpy as np\n\ndef supervise(lab):\n    return lab.fine_tune(np.zeros((3, 2)))\n")
    failed = subprocess.run([sys.executable, "-m", "aar", "try", wrong, tiny], capture_output=True, text=True)
    assert "shape" in failed.stdout + failed.stderr

    assert "PGR" in finish(start("try", "soft_labels", tiny))

    cheat = Path(__file__).parents[1] / "scoring" / "planted" / "ignores_teacher.py"
    folder = campaign(tiny).with_name("campaign-try")
    finish(start("try", cheat, tiny))
    shown = finish(start("verify", "e4", "-c", folder, "--seeds", 2, "--control", "shuffled"))
    assert "uses no weak supervision" in shown  # with its teacher's labels shuffled it trains the very same students
    [verified] = json.loads(finish(start("leaderboard", "--json", folder)))["verifications"]
    assert [one["verdict"] for one in verified["controls"]] == ["uses no weak supervision"]


def test_predictions_can_be_handed_in_where_the_campaign_allows_it(tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("[scoring]", '[scoring]\nprotocol = "predictions"'))
    method = tmp_path / "guess.py"
    method.write_text("def supervise(lab):\n    return [row % 2 for row, _ in enumerate(lab.test_examples)]\n")
    output = " ".join(finish(start("try", method, tiny)).split())
    assert "predictions protocol: not to be ranked with others" in output
    assert "guess: accuracy" in output or "no significant improvement" in output  # vanilla is near chance here, too
