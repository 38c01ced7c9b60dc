"""Prompts and directions: files that people can edit."""

from pathlib import Path

import pytest

from aar.config import ClaudeConfig, ResearcherConfig, load_config
from aar.errors import ConfigError, ModelAccessError
from aar.researchers.brains.claude.access import check_model_access
from aar.researchers.prompts import render_first_message, render_system_prompt
from tests.campaign_fixture import write_toml


def test_the_system_prompt_names_the_researcher_and_the_problem(tmp_path: Path) -> None:
    config = load_config(write_toml(tmp_path))
    prompt = render_system_prompt(config.researchers[0], config, "people-1")
    assert prompt.startswith("You are researcher-1,") and "smollm2-135m" in prompt and "{" not in prompt


def test_a_researcher_may_be_undirected(tmp_path: Path) -> None:
    assert "choose your own" in render_first_message(ResearcherConfig(name="ada", brain="claude"), [])


def test_a_users_own_system_prompt_is_used(tmp_path: Path) -> None:
    file = tmp_path / "mine.md"
    file.write_text("You are {name}. Braces such as {this} stay.")
    config = load_config(write_toml(tmp_path), [f"claude.prompt={file}"])
    prompt = render_system_prompt(config.researchers[0], config, "people-1")
    assert prompt.startswith("You are researcher-1. Braces such as {this} stay.\n\n# Messages from operators")
    assert "begin with [people-1]" in prompt


def test_missing_access_to_a_model_is_reported_before_anything_is_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(write_toml(tmp_path))

    def check(**settings: object) -> None:
        llm = ClaudeConfig.model_validate(settings)
        ada = ResearcherConfig(name="ada", brain="claude", claude=llm)
        check_model_access(config.model_copy(update={"researchers": [ada]}))

    with pytest.raises(ConfigError, match=r'ada: .*no price for the model "gpt-2"'):
        check(model="gpt-2")
    with pytest.raises(ConfigError, match="the prompt cannot be read"):
        check(prompt=str(tmp_path / "nowhere.md"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelAccessError, match="ANTHROPIC_API_KEY"):
        check()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "rehearsal")
    check()
    check_model_access(config)
