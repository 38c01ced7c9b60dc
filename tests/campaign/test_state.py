"""The state of a campaign: what a reader that stays open shows after each change is what a new one would read."""

from pathlib import Path

import pytest

from aar.budget import Resources, Tokens, UsageStore
from aar.campaign.events import EventLog
from aar.campaign.state import CAMPAIGN, StateReader, read_state
from aar.commons.forum import Forum
from aar.errors import CampaignError
from aar.researchers.commands import CommandQueue
from aar.scoring.records import DatasetScore, Score
from aar.scoring.store import ExperimentRequest, ScoreStore
from tests.campaign_fixture import SEEDS, write_campaign, write_toml

SCORE = Score(0.9, 0.75, 0.5, 0.9, (DatasetScore("minimal-pairs", 0.9, 0.75),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_campaign(write_toml(tmp_path), tmp_path / "little", outcome=None)
    return tmp_path / "little"


def admission(key: str, verification_of: str | None = None) -> ExperimentRequest:
    return ExperimentRequest(
        key, "researcher-1", "0" * 40, ("minimal-pairs",), "one more", SEEDS[:2], verification_of=verification_of
    )


def test_a_campaign_that_has_not_begun_has_a_state(tmp_path: Path) -> None:
    config = write_campaign(write_toml(tmp_path), tmp_path / "other")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json").write_text(config.model_dump_json())
    state = read_state(tmp_path / "new")
    assert (state.phase, state.experiments, state.seconds_used, state.ledger_head) == ("not started", (), 0, "0" * 64)
    assert [(one.activity, one.limits) for one in state.researchers] == [("not started", ())] * 3


def test_a_folder_without_a_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"config\.json"):
        read_state(tmp_path)


def test_databases_that_appear_later_are_read_when_they_are_there(tmp_path: Path, folder: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((folder / "config.json").read_bytes())
    reader = StateReader(begun)
    assert reader.read().phase == "not started"
    EventLog(begun).event(CAMPAIGN, "baselines")
    experiment = ScoreStore(begun).admit(admission("first"))
    state = reader.read()
    assert state.phase == "baselines" and [one.id for one in state.experiments] == [experiment.id]


def test_every_change_is_seen_by_a_reader_that_stays_open(folder: Path) -> None:
    reader, scores, usage = StateReader(folder), ScoreStore(folder), UsageStore(folder)
    assert reader.read() == read_state(folder)

    EventLog(folder).event("researcher-1", "thinking")
    assert reader.read().researchers[0].activity == "thinking"

    running, verifying = scores.admit(admission("later")), scores.admit(admission("arm", verification_of="e2"))
    assert reader.read().experiments[-1] == running

    scores.finish(running.id, SCORE, {"released": True})
    scores.finish(verifying.id, None, {})
    state = reader.read()
    assert (state.experiments[-1].id, state.experiments[-1].score) == (running.id, SCORE)
    assert state.ledger_head == scores.ledger()[-1].digest

    Forum(folder / "commons" / "forum.sqlite").post("ada", "result", "x", key="k", data={"family": "Soft Labels"})
    assert reader.read().families == {"soft-labels": 1}

    CommandQueue(folder).ask("dana", "researcher-2", "pause", "")
    assert reader.read().researchers[1].desired_state == "paused"

    usage.add("researcher-3", "3/1", tokens=Tokens(input=10, output=5), resources=Resources(dollars=0.5))
    state = reader.read()
    assert state.researchers[2].spent.tokens.output == 5 and state.spent.resources.dollars == 0.5

    assert state == read_state(folder)
