"""Commands of operators: durable, in order, and what follows from them."""

from pathlib import Path

import pytest

from aar.config import load_config
from aar.errors import CampaignError, StorageError
from aar.researchers.commands import CommandQueue, active_researchers, desired_state, new_researcher
from tests.campaign_fixture import write_toml


def test_commands_are_durable_and_in_order(tmp_path: Path) -> None:
    first = CommandQueue(tmp_path)
    first.ask("dana", "ada", "message", "one")
    CommandQueue(tmp_path).ask("dana", "ben", "pause")
    assert [(command.number, command.researcher) for command in first.commands()] == [(1, "ada"), (2, "ben")]
    assert [command.number for command in first.commands(after=1)] == [2]
    assert [command.text for command in first.commands(researcher="ada")] == ["one"]


def test_the_last_command_decides_the_state(tmp_path: Path) -> None:
    queue = CommandQueue(tmp_path)
    assert desired_state([]) == "working"
    for action, expected in (("pause", "paused"), ("message", "paused"), ("resume", "working"), ("stop", "stopped")):
        queue.ask("dana", "ada", action)  # type: ignore[arg-type]
        assert desired_state(queue.commands()) == expected


def test_added_researchers_are_active_with_their_latest_direction(tmp_path: Path) -> None:
    config, queue = load_config(write_toml(tmp_path)), CommandQueue(tmp_path)
    eve = new_researcher(name="eve", brain="external")
    for _ in range(2):
        queue.ask("dana", "eve", "add", eve.model_dump_json())
    queue.ask("dana", "eve", "direction", "curriculum")
    queue.ask("dana", "researcher-1", "direction", "")
    people = {researcher.name: researcher for researcher in active_researchers(config, queue.commands())}
    assert list(people) == ["researcher-1", "researcher-2", "researcher-3", "eve"]
    assert people["eve"].direction == "curriculum" and people["researcher-1"].direction is None


def test_text_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    queue = CommandQueue(tmp_path)
    for text in ("\x1b[31m", "x" * 40_000):
        with pytest.raises(CampaignError, match="the text"):
            queue.ask("dana", "ada", "message", text)
    assert queue.commands() == []


def test_an_action_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="unknown action 'restart'; expected one of: message, pause, resume, stop"):
        CommandQueue(tmp_path).ask("dana", "ada", "restart")  # type: ignore[arg-type]


def test_a_researcher_that_is_not_valid_is_refused_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="the researcher cannot be added: brian: Extra inputs"):
        new_researcher(name="eve", brian="search")


def test_an_event_describes_a_command_in_one_bounded_line(tmp_path: Path) -> None:
    queue = CommandQueue(tmp_path)
    message = queue.ask("dana", "ada", "message", "Look\nat " + "calibration " * 100)
    assert message.describe().startswith("dana asks: message ada: Look at calibration ")
    assert len(message.describe()) < 250 and "\n" not in message.describe()
    assert queue.ask("dana", "eve", "add", '{"name": "eve"}').describe() == "dana asks: add eve"


def test_a_reader_does_not_create_the_queue(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        CommandQueue(tmp_path, read_only=True).commands()
    assert list(tmp_path.iterdir()) == []
