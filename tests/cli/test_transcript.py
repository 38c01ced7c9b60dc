"""`aar transcript`: what a researcher did, in full, for people and for programs."""

import json
import re
from pathlib import Path

import pytest

from aar.researchers.transcript import Transcript, transcript_folder
from tests.cli.conftest import Aar

CALL = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls\nwc method.py"}}


@pytest.fixture
def ada(campaign: Path) -> Path:
    transcript = Transcript(transcript_folder(campaign, "ada"))
    transcript.append("anew", system="You do research.", why="first")
    thought = {"type": "thinking", "thinking": "What is there?", "signature": "s"}
    transcript.append("message", role="assistant", content=[thought, CALL], model="m")
    long = "x" * 20_000 + "\x1b[31m"
    transcript.append("result", position="2.1", id="toolu_1", tool="bash", text=long, is_error=True)
    transcript.append("end", why="finished")
    return campaign


def test_everything_is_shown_in_full_and_nothing_acts_on_the_terminal(ada: Path, aar: Aar) -> None:
    out = aar("transcript", "ada").out
    assert "What is there?" in out and "calls bash" in out and "wc method.py" in out and "why: finished" in out
    assert out.replace("\n", "").count("x") >= 20_000 and "\x1b" not in out


def test_as_json_it_is_one_entry_a_line(ada: Path, aar: Aar) -> None:
    entries = [json.loads(line) for line in aar("transcript", "ada", "--json").out.splitlines()]
    assert [entry["kind"] for entry in entries] == ["anew", "message", "result", "end"]


def test_without_a_name_it_lists_who_has_one_and_an_unknown_name_says_who(ada: Path, aar: Aar) -> None:
    assert aar("transcript").out == "ada\n"
    assert "these have one: ada" in aar("transcript", "eve").err


def test_it_is_exported_for_inspect(ada: Path, aar: Aar) -> None:
    assert "inspect view start --log-dir" in aar("transcript", "--inspect", "logs").out
    [file] = Path("logs").iterdir()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", file.name), "Inspect would not list it"
    assert [sample["id"] for sample in json.loads(file.read_text())["samples"]] == ["ada"]
