"""The researcher's actor: which calls it admits, and what it is called."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from aar.config import CampaignConfig, ResearcherConfig, load_config
from aar.researchers import actor
from aar.researchers.actor import CALLS_AT_ONCE, ConcurrencyLimiter, Researcher, title
from tests.campaign_fixture import write_toml
from tests.researchers.client_double import Campaign


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignConfig:
    campaign = Campaign(tmp_path)
    monkeypatch.setattr(actor, "RayCampaignClient", campaign.client)
    return load_config(write_toml(tmp_path))


def researcher(config: CampaignConfig, folder: Path, brain: str) -> Researcher:
    settings = config.researchers[0].model_copy(update={"brain": brain})
    return Researcher(settings, config, str(folder))


def test_callers_beyond_the_limit_are_turned_away_at_once_and_a_place_is_free_again_afterwards() -> None:
    limiter = ConcurrencyLimiter(2)
    with ExitStack() as stack:
        assert [stack.enter_context(limiter.acquired()) for _ in range(4)] == [True, True, False, False]
    with limiter.acquired() as is_admitted:
        assert is_admitted


def test_only_an_external_researcher_accepts_tool_calls(config: CampaignConfig, tmp_path: Path) -> None:
    text, is_error = researcher(config, tmp_path, "search").call("budget", {})
    assert is_error and text == 'researcher-1 is not an external researcher; only brain = "external" accepts tool calls'


def test_an_external_researcher_answers_and_says_what_it_does(config: CampaignConfig, tmp_path: Path) -> None:
    external = researcher(config, tmp_path, "external")
    text, is_error = external.call("budget", {})
    assert not is_error and "3 experiments left" in text
    assert external.status() == "waiting for tool calls"


def test_calls_beyond_the_limit_are_refused_while_others_wait(config: CampaignConfig, tmp_path: Path) -> None:
    external = researcher(config, tmp_path, "external")
    waits = {"command": "touch begun; while [ ! -e go ]; do sleep 0.1; done; echo went"}
    answers: list[tuple[str, bool]] = []
    calls = [
        threading.Thread(target=lambda: answers.append(external.call("bash", waits, "same")))
        for _ in range(CALLS_AT_ONCE)
    ]
    for call in calls:
        call.start()
    workspace = tmp_path / "researchers" / "researcher-1" / "workspace"
    while not (workspace / "begun").exists() or external.call("budget", {})[1] is False:
        time.sleep(0.05)
    text, is_error = external.call("budget", {})
    assert (
        is_error and text == f"not done: too many concurrent calls (limit {CALLS_AT_ONCE}); retry when one is answered"
    )
    (workspace / "go").touch()
    for call in calls:
        call.join(60)
    assert answers == [("went", False)] * CALLS_AT_ONCE
    assert external.call("budget", {})[1] is False


def test_the_title_names_the_researcher_and_its_direction() -> None:
    assert title(ResearcherConfig(name="ada", direction="curriculum")) == "aar-ada · curriculum"
    assert title(ResearcherConfig(name="ada", direction="ideas/mine.md")) == "aar-ada · mine"
