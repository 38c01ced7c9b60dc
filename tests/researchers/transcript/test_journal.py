"""Transcripts: complete, only growing, and whole again after any crash."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aar.errors import StorageError
from aar.researchers.transcript import Transcript, journal, read
from aar.researchers.transcript.journal import FILE, TEXTS
from tests.researchers.full_disk import full_disk

LONG = "0123456789" * 2000


def test_entries_are_read_back_in_order(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("reset", system="You do research.", why="first")
    transcript.append("message", role="user", content=[{"type": "text", "text": "Zażółć \u2028 \x00"}])
    entries = list(read(tmp_path))
    assert entries == transcript.entries
    assert [entry.number for entry in entries] == [1, 2]
    assert entries[1].data["content"][0]["text"] == "Zażółć \u2028 \x00"


def test_long_texts_are_kept_once_beside_the_lines_and_read_back_whole(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    for _ in range(2):
        transcript.append("result", call_id="1.1", text=LONG, is_error=False)
    assert (tmp_path / FILE).stat().st_size < 1000
    assert len(list((tmp_path / TEXTS).iterdir())) == 1
    assert [entry.data["text"] for entry in read(tmp_path)] == [LONG, LONG]


def test_a_long_text_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    Transcript(tmp_path).append("result", call_id="1.1", text=LONG, is_error=False)
    next((tmp_path / TEXTS).iterdir()).write_text("something else")
    with pytest.raises(StorageError, match=r"line 1 is damaged.*its digest does not match"):
        list(read(tmp_path))


def test_nothing_that_a_model_writes_passes_for_a_reference(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("result", call_id="1.1", text=LONG, is_error=False)
    digest = next((tmp_path / TEXTS).iterdir()).name
    forged = {"kept": [["text"]], "text": digest, "sha256": digest}
    transcript.append("call", call_id="2.1", tool="bash", arguments=forged)
    assert list(read(tmp_path))[1].data["arguments"] == forged


def test_a_torn_last_line_is_not_read_and_the_next_writer_removes_it(tmp_path: Path) -> None:
    first = Transcript(tmp_path)
    first.append("start", brain="claude")
    first.close()
    with open(tmp_path / FILE, "ab") as file:
        file.write(b'{"number": 2, "ti')
    assert [entry.number for entry in read(tmp_path)] == [1]
    again = Transcript(tmp_path)
    again.append("end", why="done")
    assert [(entry.number, entry.kind) for entry in read(tmp_path)] == [(1, "start"), (2, "end")]


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("start", brain="claude")
    transcript.append("end", why="done")
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes().replace(b'"number": 1', b'"number" 1'))
    with pytest.raises(StorageError, match="line 1 is damaged"):
        list(read(tmp_path))


def test_a_transcript_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert list(read(tmp_path / "nobody")) == []


def test_an_acknowledged_entry_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from aar.researchers.transcript import Transcript\n"
        f"transcript = Transcript(pathlib.Path({str(tmp_path)!r}))\n"
        "while True:\n"
        "    entry = transcript.append('message', role='user', content='x' * 9000)\n"
        "    print(entry.number, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    acknowledged = [int(child.stdout.readline()) for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.communicate()[0].splitlines() if line.endswith("\n") or line]
    entries = list(read(tmp_path))
    assert len(entries) >= len(acknowledged) - 1
    assert all(len(entry.data["content"]) == 9000 for entry in entries)
    assert Transcript(tmp_path).append("end", why="done").number == len(entries) + 1


def test_a_transcript_of_another_version_is_refused_also_where_one_kind_is_looked_for(tmp_path: Path) -> None:
    line = '{"number": 1, "time": 1790000000.0, "kind": "trouble", "data": {"words": "429: slow down"}}\n'
    (tmp_path / FILE).write_text(line)
    for opens in (
        lambda: list(read(tmp_path)),
        lambda: list(read(tmp_path, only="api_failure")),
        lambda: Transcript(tmp_path),
    ):
        with pytest.raises(StorageError, match=r"version 1, this aar works with version 2. Use the version of aar"):
            opens()
    assert (tmp_path / FILE).read_text() == line


@pytest.mark.parametrize("room", [0, 10])
def test_an_entry_that_does_not_fit_on_the_disk_leaves_the_transcript_as_it_was(tmp_path: Path, room: int) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("start", brain="claude")
    before, size = (tmp_path / FILE).read_bytes(), transcript.size
    for _ in range(2):
        with full_disk(len(before) + room), pytest.raises(StorageError, match="too large"):
            transcript.append("message", role="user", content="lost")
        assert (tmp_path / FILE).read_bytes() == before
    assert (len(transcript.entries), transcript.size) == (1, size)
    transcript.append("end", why="done")
    assert [entry.kind for entry in read(tmp_path)] == ["start", "end"]
    transcript.close()
    assert list(read(tmp_path)) == transcript.entries == Transcript(tmp_path).entries


def test_a_line_torn_at_any_byte_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("start", brain="claude")
    first = (tmp_path / FILE).read_bytes()
    transcript.append("message", role="user", content="Zażółć")
    transcript.close()
    line = (tmp_path / FILE).read_bytes()[len(first) :]
    for length in range(0, len(line), 7):
        (tmp_path / FILE).write_bytes(first + line[:length])
        assert [entry.kind for entry in read(tmp_path)] == ["start"]
        resumed = Transcript(tmp_path)
        assert resumed.append("end", why=str(length)).number == 2
        resumed.close()
        assert [entry.data for entry in read(tmp_path)][1:] == [{"why": str(length)}]


def test_a_long_text_whose_line_was_lost_is_written_again(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.append("result", call_id="1.1", text=LONG, is_error=False)
    transcript.close()
    os.truncate(tmp_path / FILE, 20)  # killed after the text and in the middle of its line
    resumed = Transcript(tmp_path)
    assert resumed.entries == []
    resumed.append("result", call_id="1.1", text=LONG, is_error=False)
    assert [entry.data["text"] for entry in read(tmp_path)] == [LONG]


def test_data_that_is_not_json_is_refused_and_not_written(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    for data in (object(), float("nan"), {1, 2}):
        with pytest.raises(ValueError, match="JSON"):
            transcript.append("call", arguments=data)
    assert list(read(tmp_path)) == transcript.entries == []


def test_a_second_writer_waits_and_then_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOCK_SECONDS", 0.1)
    first = Transcript(tmp_path)
    with pytest.raises(StorageError, match="another process writes this transcript; end it"):
        Transcript(tmp_path)
    first.close()
    Transcript(tmp_path).append("end", why="done")
