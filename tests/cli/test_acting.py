"""`aar as`: what a command line becomes before it is a tool call."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aar.cli import external
from tests.cli.conftest import Aar

Made = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def made(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """The tool calls that commands make, which are answered as for experiment e6, the one that failed."""
    calls: Made = []

    def call(_: str | None, __: str, tool: str, /, **arguments: Any) -> str:
        calls.append((tool, arguments))
        return f"{arguments.get('note', 'e6')} runs"

    monkeypatch.setattr(external, "call", call)
    yield calls


def test_a_vote_may_be_against_a_post(made: Made, aar: Aar) -> None:
    assert aar("as", "ada", "vote", "3", "-1").code == 0
    assert made == [("vote", {"post": 3, "value": -1})]


@pytest.mark.parametrize("arguments", ["[]", "3", '"x"', "{"])
def test_arguments_that_are_no_object_are_one_message(made: Made, aar: Aar, arguments: str) -> None:
    ended = aar("as", "ada", "tool", "budget", arguments)
    assert ended.code == 1 and "JSON" in ended.err and not made


def test_arguments_may_have_any_name(made: Made, aar: Aar) -> None:
    assert aar("as", "ada", "tool", "budget", '{"tool": 1, "self": 2, "campaign": 3, "researcher": 4}').code == 0
    assert made == [("budget", {"tool": 1, "self": 2, "campaign": 3, "researcher": 4})]


@pytest.mark.parametrize(("experiment", "code"), [("e6", 1), ("e5", 0)])
def test_a_wait_by_itself_ends_as_the_experiment_did(made: Made, aar: Aar, experiment: str, code: int) -> None:
    assert aar("as", "ada", "experiment", "wait", experiment).code == code
    assert made == [("experiment", {"action": "wait", "experiment": experiment, "seconds": 1800})]


@pytest.mark.parametrize(("experiment", "code"), [("e6", 1), ("e5", 0)])
def test_waiting_for_an_experiment_ends_as_the_experiment_did(made: Made, aar: Aar, experiment: str, code: int) -> None:
    Path("mine.py").write_text("def supervise(lab): ...\n")
    ended = aar("as", "ada", "experiment", "run", "mine.py", "--note", experiment, "--wait")
    assert ended.code == code
    assert made[-1] == ("experiment", {"action": "wait", "experiment": experiment, "seconds": 1800})
