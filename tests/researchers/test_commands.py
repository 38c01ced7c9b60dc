"""Commands of operators: durable, in order, and what follows from them."""

from pathlib import Path

import pytest

from aar.config import load_config
from aar.errors import CampaignError
from aar.researchers.commands import CommandQueue, active_researchers, desired_state, new_researcher
from tests.campaign_fixture import write_toml


def test_commands_are_durable_and_in_order(tmp_path: Path) -> None:
    first = CommandQueue(tmp_path)
    first.ask("dana", "ada", "message", "one")
    CommandQueue(tmp_path).ask("dana", "ben", "pause")
    assert [(command.number, command.researcher) for command in first.commands()] == [(1, "ada"), (2, "ben")]
    assert [command.number for command in first.commands(after=1)] == [2]
    assert [command.text for command in first.commands(researcher="ada")] == ["one"]


def test_the_last_word_counts(tmp_path: Path) -> None:
    queue = CommandQueue(tmp_path)
    assert desired_state([]) == "working"
    for action, expected in (("pause", "paused"), ("message", "paused"), ("resume", "working"), ("stop", "stopped")):
        queue.ask("dana", "ada", action)  # type: ignore[arg-type]
        assert desired_state(queue.commands()) == expected


def test_the_roster_has_those_added_with_their_latest_direction(tmp_path: Path) -> None:
    config, queue = load_config(write_toml(tmp_path)), CommandQueue(tmp_path)
    eve = new_researcher(name="eve", brain="external")
    for _ in range(2):
        queue.ask("dana", "eve", "add", eve.model_dump_json())
    queue.ask("dana", "eve", "direction", "curriculum")
    queue.ask("dana", "researcher-1", "direction", "")
    people = {one.name: one for one in active_researchers(config, queue.commands())}
    assert list(people) == ["researcher-1", "researcher-2", "researcher-3", "eve"]
    assert people["eve"].direction == "curriculum" and people["researcher-1"].direction is None


def test_what_no_record_can_carry_is_refused(tmp_path: Path) -> None:
    queue = CommandQueue(tmp_path)
    for text in ("\x1b[31m", "x" * 40_000):
        with pytest.raises(CampaignError, match="the text"):
            queue.ask("dana", "ada", "message", text)
    assert queue.commands() == []
