"""The driver's record: events, runs, and time that counts only while a driver ran."""

import sqlite3
from pathlib import Path

import pytest

from aar.campaign.events import FILE, EventLog
from aar.errors import StorageError


def set_runs(folder: Path, *runs: tuple[float, float]) -> None:
    """Replace the runs by others, from and until."""
    with sqlite3.connect(folder / FILE) as db:
        db.execute("DELETE FROM runs")
        db.executemany("INSERT INTO runs (started, seen) VALUES (?, ?)", runs)


def test_events_are_kept_in_order(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    record.event("campaign", "research")
    record.event("ada", "reading the forum")
    kept = EventLog(tmp_path, read_only=True).events()
    assert [(event.source, event.text) for event in kept] == [("campaign", "research"), ("ada", "reading the forum")]
    assert kept[0].time <= kept[1].time


def test_the_latest_event_of_each_source_is_read_from_where_an_earlier_reading_ended(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    assert record.latest() == ({}, 0)
    for source, text in (("campaign", "research"), ("ada", "thinking"), ("ada", "posting")):
        record.event(source, text)
    latest, number = record.latest()
    assert latest == {"campaign": "research", "ada": "posting"}
    record.event("campaign", "audit")
    assert record.latest(after=number) == ({"campaign": "audit"}, number + 1)
    assert record.latest(after=number + 1) == ({}, number + 1)


def test_what_was_asked_is_noted_once_whoever_notes_it(tmp_path: Path) -> None:
    EventLog(tmp_path).note_command(1, "ada", "dana asks: pause ada")
    record = EventLog(tmp_path)
    record.note_command(1, "ada", "dana asks: pause ada")
    record.note_command(2, "ada", "dana asks: resume ada")
    assert [event.text for event in record.events()] == ["dana asks: pause ada", "dana asks: resume ada"]


def test_pauses_between_runs_use_up_no_time(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    set_runs(tmp_path, (100, 130), (1000, 1010))
    assert record.seconds_used() == 40


def test_a_moment_in_a_pause_counts_as_the_end_of_the_run_before(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    set_runs(tmp_path, (100, 130), (1000, 1010))
    assert [record.seconds_until(moment) for moment in (90, 110, 500, 1004, 2000)] == [0, 10, 30, 34, 40]


def test_only_an_orderly_end_makes_a_campaign_finished(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    assert not record.finished()
    record.begin_run()
    assert not record.finished()
    record.end_run("stopped")
    assert not record.finished()
    record.begin_run()
    record.end_run("finished")
    assert record.finished()
    assert [run.outcome for run in record.runs()] == ["stopped", "finished"]


def test_a_run_that_is_alive_moves_its_end(tmp_path: Path) -> None:
    record = EventLog(tmp_path)
    record.begin_run()
    before = record.runs()[-1].seen
    record.seen()
    assert record.runs()[-1].seen >= before
    assert record.runs()[-1].outcome is None


def test_reading_a_record_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the file does not exist"):
        EventLog(tmp_path, read_only=True)


def test_a_campaign_of_an_older_aar_is_refused_with_what_to_do(tmp_path: Path) -> None:
    EventLog(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 2")
    for read_only in (False, True):
        with pytest.raises(StorageError, match=r"schema version 2.*version 3. Use the version of aar that wrote it"):
            EventLog(tmp_path, read_only=read_only)
