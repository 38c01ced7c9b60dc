"""`aar steer` and `aar join`: what people ask of researchers, durable and checked."""

import fcntl
import io
import json
from pathlib import Path

import pytest

from aar.campaign.folder import stored_config
from aar.campaign.state import read_state
from aar.cli.external import instructions
from aar.researchers.brains.external.credentials import researcher_of
from aar.researchers.commands import CommandQueue
from tests.cli.conftest import Aar


def test_a_message_is_kept_until_the_campaign_resumes(campaign: Path, aar: Aar) -> None:
    aar("steer", "add", "eve", "--brain", "external")
    out = aar("steer", "message", "eve", "Look at calibration.", "--by", "dana").out
    assert "dana asks: message eve: Look at calibration." in out and "when the campaign resumes" in out
    command = CommandQueue(campaign).commands()[-1]
    assert (command.researcher, command.action, command.text) == ("eve", "message", "Look at calibration.")


def test_a_researcher_that_reads_no_messages_is_sent_none(campaign: Path, aar: Aar) -> None:
    assert 'brain = "search", which reads no messages' in aar("steer", "message", "researcher-1", "Hello.").err
    assert CommandQueue(campaign).commands() == []


def test_pausing_resuming_and_stopping_show_in_the_state(campaign: Path, aar: Aar) -> None:
    for action, desired_state in (("pause", "paused"), ("resume", "working"), ("stop", "stopped")):
        assert aar("steer", action, "researcher-2").code == 0
        assert read_state(campaign).researchers[1].desired_state == desired_state
    assert "stopped:" in aar("status").out


def test_a_new_direction_is_read_before_it_is_taken(campaign: Path, aar: Aar) -> None:
    assert aar("steer", "direction", "researcher-1", "curriculum").code == 0
    assert read_state(campaign).researchers[0].direction == "curriculum"
    assert "neither a readable text file" in aar("steer", "direction", "researcher-1", "nonsense").err
    Path("mine.md").write_text("Try everything twice.")
    aar("steer", "direction", "researcher-1", "mine.md")
    assert read_state(campaign).researchers[0].direction == "mine"


def test_a_researcher_is_added_once(campaign: Path, aar: Aar) -> None:
    assert aar("steer", "add", "eve", "--brain", "external").code == 0
    assert [(one.name, one.brain) for one in read_state(campaign).researchers][-1] == ("eve", "external")
    assert "already" in aar("steer", "add", "eve").err
    assert "brain" in aar("steer", "add", "fay", "--brain", "psychic").err
    assert "name" in aar("steer", "add", "Not A Name").err
    assert "no researcher may be called" in aar("steer", "add", "platform").err


def test_an_unknown_researcher_is_named_with_those_that_there_are(campaign: Path, aar: Aar) -> None:
    assert "there are: researcher-1, researcher-2, researcher-3" in aar("steer", "pause", "nobody").err


def test_joining_prints_a_configuration_whose_token_names_the_researcher(campaign: Path, aar: Aar) -> None:
    aar("steer", "add", "eve", "--brain", "external")
    out = aar("join", "eve").out
    start = out.index("{")
    stdio, _ = json.JSONDecoder().raw_decode(out[start:])
    server = stdio["mcpServers"]["aar"]
    assert server["args"][-3:] == ["mcp", "-c", str(campaign.resolve())]
    assert researcher_of(campaign, server["env"]["AAR_TOKEN"]) == "eve"
    assert '"Authorization": "Bearer aar_' in out and "aar as -c" in out


def test_only_external_researchers_can_be_joined(campaign: Path, aar: Aar) -> None:
    assert "aar steer add researcher-1 --brain external" in aar("join", "researcher-1").err


def test_acting_in_a_campaign_that_does_not_run_says_so(campaign: Path, aar: Aar) -> None:
    aar("steer", "add", "eve", "--brain", "external")
    assert "does not run; start it first" in aar("as", "eve", "budget").err


def test_the_instructions_of_an_external_researcher_have_its_name_and_current_direction(
    campaign: Path, aar: Aar
) -> None:
    aar("steer", "add", "eve", "--brain", "external")
    assert "eve" in instructions(campaign, "eve")
    Path("mine.md").write_text("Try everything twice.")
    aar("steer", "direction", "eve", "mine.md")
    assert "Try everything twice." in instructions(campaign, "eve")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("vote", "3", "-1"), "does not run"),
        (("tool", "budget", "[]"), "must be a JSON object"),
        (("tool", "budget", "{"), "not valid JSON"),
    ],
)
def test_what_is_typed_is_understood_or_explained(
    campaign: Path, aar: Aar, command: tuple[str, ...], words: str
) -> None:
    aar("steer", "add", "eve", "--brain", "external")
    assert words in aar("as", "eve", *command).err


def test_an_mcp_server_without_a_valid_token_says_what_to_set(
    campaign: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AAR_TOKEN", "aar_made_up")
    assert "AAR_TOKEN names no external researcher" in aar("mcp").err


def test_joining_again_invalidates_the_earlier_token(campaign: Path, aar: Aar) -> None:
    def token() -> str:
        out = aar("join", "eve").out
        configuration, _ = json.JSONDecoder().raw_decode(out[out.index("{") :])
        return str(configuration["mcpServers"]["aar"]["env"]["AAR_TOKEN"])

    aar("steer", "add", "eve", "--brain", "external")
    first, second = token(), token()
    assert researcher_of(campaign, first) is None
    assert researcher_of(campaign, second) == "eve"


def test_a_message_is_read_from_standard_input(campaign: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch) -> None:
    aar("steer", "add", "eve", "--brain", "external")
    monkeypatch.setattr("sys.stdin", io.StringIO("Look at\ncalibration."))
    assert aar("steer", "message", "eve", "-").code == 0
    assert CommandQueue(campaign).commands()[-1].text == "Look at\ncalibration."


def test_a_command_for_a_researcher_that_has_ended_says_that_it_is_too_late_in_this_run(
    campaign: Path, aar: Aar
) -> None:
    with (campaign / "driver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out = aar("steer", "direction", "researcher-1", "curriculum").out
    assert "takes effect when the campaign is started again; it is too late in this run" in out


def test_a_researcher_with_its_own_model_keeps_the_campaigns_other_settings(campaign: Path, aar: Aar) -> None:
    assert aar("steer", "add", "fay", "--model", "claude-opus-5-5").code == 0
    added = json.loads(CommandQueue(campaign).commands()[-1].text)
    settings = stored_config(campaign).claude.model_dump(mode="json")
    assert added["claude"] == {**settings, "model": "claude-opus-5-5"}
