"""A whole campaign of researchers that think, by the real package against a real server that plays them by script."""

import json
from pathlib import Path

import pytest

from aar.campaign.state import CampaignState, read_state
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from aar.researchers.transcript import TranscriptEntry, read, transcript_folder
from tests.campaign.tiny_campaign import finish, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.campaign]

NAMES = ("ada", "ben", "eve")


def thinking(tiny: Path) -> Path:
    """The tiny campaign, with three researchers that a language model drives; returns the rehearsal's folder."""
    researchers = "".join(f'\n[[researchers]]\nname = "{name}"\nbrain = "claude"\n' for name in NAMES)
    tiny.write_text(tiny.read_text().split("\n[[researchers]]")[0] + researchers)
    return tiny.parent / "campaign-rehearsal"


def transcript(folder: Path, name: str) -> list[TranscriptEntry]:
    return list(read(transcript_folder(folder, name)))


def results(folder: Path, name: str, tool: str) -> list[str]:
    entries = transcript(folder, name)
    return [one.data["text"] for one in entries if one.kind == "result" and one.data["tool"] == tool]


def check_they_built_on_each_other(folder: Path) -> CampaignState:
    state = read_state(folder)
    assert state.phase == "finished"
    own = {one.researcher: one for one in state.experiments if one.researcher != "platform"}
    assert set(own) == set(NAMES) and all(one.status == "scored" for one in own.values())
    store = CodeStore(folder / "commons/code.git", read_only=True)
    parents = {name: store.snapshot(own[name].snapshot).parent for name in NAMES}
    assert parents["ada"] is None and parents["ben"] == own["ada"].snapshot
    assert parents["eve"] in (own["ada"].snapshot, own["ben"].snapshot)
    posts = Forum(folder / "commons/forum.sqlite", read_only=True).posts(limit=1000)
    assert [post.author for post in posts if post.kind == "result"] == ["ada", "ben", "eve"]
    assert len({(post.author, post.title.text) for post in posts}) == len(posts)
    for name in NAMES:
        assert transcript(folder, name)[-1].data["reason"] == "finished"
    return state


def check_what_they_were_told(folder: Path) -> None:
    assert "supervise(lab)" in results(folder, "ada", "bash")[0]
    assert "Calls of lab:" in results(folder, "ada", "quick_check")[0]
    assert "mean belief" in results(folder, "ada", "quick_check")[0]
    assert "+    sure =" in results(folder, "ben", "store_diff")[0]


def check_what_failed_is_told(folder: Path) -> None:
    for name in NAMES:
        incidents = " ".join(one.data["message"] for one in transcript(folder, name) if one.kind == "api_failure")
        assert all(words in incidents for words in ("429", "529", "500", "cut off", "withheld")), incidents


def test_three_researchers_build_on_each_other_whatever_kind_of_failure_comes_between(tiny: Path) -> None:
    folder = thinking(tiny)
    output = " ".join(finish(start("rehearse", tiny, "--faults"), 500).split())
    state = check_they_built_on_each_other(folder)
    check_what_they_were_told(folder)
    check_what_failed_is_told(folder)
    assert "per researcher-hour" in output and state.spent.resources.dollars > 0
    assert state.families == {"prior": 1, "selection": 1, "hard-labels": 1}
    shown = finish(start("transcript", "ben", "-c", folder))
    assert "I read before I write." in shown and "Somebody may have begun already." in shown
    finish(start("transcript", "--inspect", tiny.parent / "logs", "-c", folder))
    [log] = (tiny.parent / "logs").iterdir()
    assert len(json.loads(log.read_text())["samples"]) == 3
    status = finish(start("status", folder))
    assert "families of methods: entropy 1.58 bits" in status and "cost $" in status
