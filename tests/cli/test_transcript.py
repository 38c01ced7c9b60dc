"""`aar transcript`: what a researcher did, in full, for people and for programs."""

import json
import re
import time
from contextlib import closing
from pathlib import Path

import pytest

from aar.researchers.transcript import Transcript, transcript_folder
from tests.cli.conftest import Aar

LISTED_BY_INSPECT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}[:-]\d{2}[:-]\d{2}.*\.json$")
"""Which JSON files are logs: `log_file_pattern` of inspect_ai 0.3.285, inspect_ai/log/_file.py."""
CALL = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls\nwc method.py"}}


@pytest.fixture
def ada(campaign: Path) -> Path:
    transcript = Transcript(transcript_folder(campaign, "ada"))
    transcript.append("reset", system="You do research.", why="first")
    thought = {"type": "thinking", "thinking": "What is there?", "signature": "s"}
    transcript.append("message", role="assistant", content=[thought, CALL], model="m")
    long = "x" * 20_000 + "\x1b[31m"
    transcript.append("result", call_id="2.1", id="toolu_1", tool="bash", text=long, is_error=True)
    transcript.append("end", why="finished")
    return campaign


def test_everything_is_shown_in_full_and_nothing_acts_on_the_terminal(ada: Path, aar: Aar) -> None:
    out = aar("transcript", "ada").out
    assert "What is there?" in out and "calls bash" in out and "wc method.py" in out and "why: finished" in out
    assert out.replace("\n", "").count("x") >= 20_000 and "\x1b" not in out


def test_as_json_it_is_one_entry_a_line(ada: Path, aar: Aar) -> None:
    entries = [json.loads(line) for line in aar("transcript", "ada", "--json").out.splitlines()]
    assert [entry["kind"] for entry in entries] == ["reset", "message", "result", "end"]


def test_without_a_name_it_lists_who_has_one_and_an_unknown_name_says_who(ada: Path, aar: Aar) -> None:
    assert aar("transcript").out == "ada\n"
    assert "these have one: ada" in aar("transcript", "eve").err


def test_it_is_exported_for_inspect(ada: Path, aar: Aar) -> None:
    assert "`inspect view start --log-dir 'my logs'`" in aar("transcript", "--inspect", "my logs").out
    (log,) = Path("my logs").iterdir()
    assert LISTED_BY_INSPECT.match(log.name) and log.name.endswith("+00-00_aar-little_little.json")
    assert [sample["id"] for sample in json.loads(log.read_text())["samples"]] == ["ada"]


def test_exported_twice_it_is_one_log(ada: Path, aar: Aar) -> None:
    for _ in range(2):
        aar("transcript", "--inspect", "logs")
    assert len(list(Path("logs").iterdir())) == 1


def test_an_export_into_what_is_no_folder_is_one_message(ada: Path, aar: Aar) -> None:
    Path("logs").touch()
    ended = aar("transcript", "--inspect", "logs")
    assert ended.code == 1 and "logs" in ended.err and "Traceback" not in ended.err


def test_following_shows_new_entries_once_until_it_is_interrupted(
    ada: Path, aar: Aar, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 1:
            raise KeyboardInterrupt
        with closing(Transcript(transcript_folder(ada, "ada"))) as transcript:
            transcript.append("start", why="resumed")

    monkeypatch.setattr(time, "sleep", sleep)
    ended = aar("transcript", "ada", "--follow", "--json")
    assert [json.loads(line)["number"] for line in ended.out.splitlines()] == [1, 2, 3, 4, 5]
