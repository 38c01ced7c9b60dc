"""`aar rehearse`, as far as it needs no Ray."""

from pathlib import Path

import pytest

from aar.campaign import run
from tests.cli.conftest import Aar


def test_an_interrupted_rehearsal_resumes_as_a_rehearsal(
    campaign: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by `aar run`, which would resume at the endpoint that costs money."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_campaign", interrupted)
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "")
    thinking = Path("little.toml").read_text().replace("[[researchers]]", '[[researchers]]\nbrain = "claude"')
    Path("little.toml").write_text(thinking)
    ended = aar("rehearse", "little.toml", "budget.minutes=5", "--faults")
    assert ended.code == 130
    assert ended.err.endswith("Resume with: aar rehearse little.toml budget.minutes=5 --faults\n")


def test_a_campaign_without_a_language_model_has_nothing_to_rehearse(campaign: Path, aar: Aar) -> None:
    ended = aar("rehearse", "little.toml")
    assert ended.code == 1 and 'brain = "claude", so there is nothing to rehearse' in ended.err
    assert not campaign.with_name("little-rehearsal").exists()


def test_a_rehearsal_is_refused_on_a_cluster_that_does_not_know_the_endpoint(
    campaign: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path("little.toml").read_text().replace("[[researchers]]", '[[researchers]]\nbrain = "claude"')
    Path("little.toml").write_text(text)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    ended = aar("rehearse", "little.toml")
    assert ended.code == 1 and "unset RAY_ADDRESS" in ended.err and "--serve" in ended.err
