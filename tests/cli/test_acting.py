"""`aar as`: what a command line becomes before it is a tool call."""

import io
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner

from aar.cli.acting import ExternalClient, add_tool_commands
from aar.researchers.tools import TOOLS, Arguments, Tool, find
from tests.cli.conftest import Aar

Made = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def made(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """The tool calls that commands make, which are answered as for experiment e6, the one that failed."""
    calls: Made = []

    def call(_: ExternalClient, tool: str, arguments: dict[str, Any]) -> str:
        calls.append((tool, arguments))
        return f"{arguments.get('note', 'e6')} runs"

    monkeypatch.setattr(ExternalClient, "call", call)
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


class Recorder:
    """A campaign that answers every call with the tool's name, and keeps the calls."""

    def __init__(self) -> None:
        self.calls: Made = []

    def call(self, tool: str, arguments: dict[str, Any]) -> str:
        self.calls.append((tool, arguments))
        return f"{tool} was called"

    def has_failed(self, experiment: str) -> bool:
        return False


class Point(BaseModel):
    x: int


class SurveyArguments(Arguments):
    """Every form of argument that a tool may have."""

    question: str = Field(description="What to ask [in one line].")
    count: int
    tone: Literal["kind", "plain"] = Field(default="plain", description="How to ask.")
    topics: list[str] = Field(default=[])
    days: list[int] | None = None
    urgent: bool = False
    limit: float | None = Field(default=None, gt=0)
    where: Point | None = Field(default=None, description="A place.")


SURVEY = Tool("ask_people", "Ask people something. They answer later.", SurveyArguments, lambda *_: "")


def run_command(tool: Tool, *arguments: str) -> tuple[Made, str, int]:
    """The calls, the output and the exit code of a command of an application that has only `tool`."""
    app, client = typer.Typer(), Recorder()
    app.callback()(lambda: None)
    add_tool_commands(app, [tool])
    result = CliRunner().invoke(app, [tool.name.replace("_", "-"), *arguments], obj=client, env={"COLUMNS": "100"})
    return client.calls, result.output, result.exit_code


def test_a_new_tool_is_a_command_by_itself() -> None:
    calls, output, code = run_command(SURVEY, "Why?", "3")
    assert (calls, code) == ([("ask_people", {"question": "Why?", "count": 3})], 0)
    assert output == "ask_people was called\n"


def test_every_form_of_argument_arrives_with_its_type() -> None:
    typed = (
        "Why?",
        "-3",
        "--tone",
        "kind",
        "--topics",
        "a",
        "--topics",
        "b",
        "--days",
        "1",
        "--days",
        "-1",
        "--urgent",
    )
    calls, output, _ = run_command(SURVEY, *typed, "--limit", "0.5", "--where", '{"x": 1}')
    assert calls, output
    expected = SurveyArguments(
        question="Why?", count=-3, tone="kind", topics=["a", "b"], days=[1, -1], urgent=True, limit=0.5,
        where=Point(x=1),
    )  # fmt: skip
    assert SURVEY.parse(calls[0][1]) == expected


def test_the_help_of_a_command_is_the_tools_own_text() -> None:
    _, output, _ = run_command(SURVEY, "--help")
    text = " ".join(output.split())
    for part in ("They answer later.", "What to ask [in one line].", "<kind|plain>", "[default: plain]", "A place."):
        assert part in text


@pytest.mark.parametrize("typed", [["Why?", "3", "--tone", "rude"], ["Why?", "many"], ["Why?", "3", "--where", "{"]])
def test_a_value_of_the_wrong_form_is_a_wrong_command_line(typed: list[str]) -> None:
    calls, _, code = run_command(SURVEY, *typed)
    assert code == 2 and not calls


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_argument_of_every_tool_is_on_the_command_line(tool: Tool) -> None:
    app = typer.Typer()
    add_tool_commands(app, [tool])
    commands = [*app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance
        commands += group.typer_instance.registered_commands
    names = {name for command in commands if command.callback for name in signature(command.callback).parameters}
    assert set(tool.arguments.model_fields) - names <= {"action"}


def test_a_text_is_read_from_standard_input(made: Made, aar: Aar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Because\nthey do."))
    assert aar("as", "ada", "forum", "reply", "3", "Why", "-").code == 0
    assert made == [("forum_reply", {"post": 3, "title": "Why", "body": "Because\nthey do."})]


def test_a_method_is_copied_into_the_workspace_before_it_is_checked(made: Made, aar: Aar) -> None:
    Path("mine.py").write_text("def supervise(lab): ...\n")
    assert aar("as", "ada", "check", "mine.py").code == 0
    created = {"command": "create", "path": "mine.py", "file_text": "def supervise(lab): ...\n"}
    assert made == [("files", created), ("quick_check", {"method": "mine.py"})]


def test_a_method_that_cannot_be_read_starts_nothing(made: Made, aar: Aar) -> None:
    Path("mine.py").write_bytes(b"\xff")
    for file in ("mine.py", "gone.py"):
        ended = aar("as", "ada", "experiment", "run", file)
        assert ended.code == 1 and f"{file} cannot be read as text" in ended.err and not made


def test_an_experiment_without_a_note_is_named_after_its_file(made: Made, aar: Aar) -> None:
    Path("probe.py").write_text("def supervise(lab): ...\n")
    assert aar("as", "ada", "experiment", "run", "probe.py", "--allow-duplicate").code == 0
    arguments = {"note": "probe", "method": "probe.py", "allow_duplicate": True}
    assert made[-1] == ("run_experiment", arguments)


def test_a_wait_may_be_shorter(made: Made, aar: Aar) -> None:
    default = find("experiment").arguments.model_fields["seconds"].default
    for seconds in (5, default):
        aar("as", "ada", "experiment", "wait", "e5", "--seconds", str(seconds))
        sent = find("experiment").parse(made[-1][1])
        assert sent.model_dump()["seconds"] == seconds


def test_help_needs_no_campaign(aar: Aar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AAR_HOME", str(tmp_path / "empty"))
    ended = aar("as", "ada", "forum", "post", "--help")
    assert ended.code == 0 and "Required for a result" in ended.out
