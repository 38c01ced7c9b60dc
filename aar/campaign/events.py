"""The driver's own record of a campaign: what happened when, and how much of its time is used up."""

import time
from dataclasses import dataclass
from pathlib import Path

from aar.storage import open_database, select, transaction
from aar.text import fitted_text

FILE = "campaign.sqlite"
EVENT_BYTES = 4096
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, source TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, started REAL NOT NULL, seen REAL NOT NULL, outcome TEXT
);
CREATE TABLE IF NOT EXISTS noted_commands (number INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True)
class Event:
    """Something that happened, in seconds since the epoch."""

    time: float
    source: str
    text: str


@dataclass(frozen=True)
class DriverRun:
    """One process that ran the campaign: from when until when, and how it ended (None: killed, or running)."""

    started: float
    seen: float
    outcome: str | None


class EventLog:
    """Events and runs. The driver writes; readers open it `read_only`."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = open_database(folder / FILE, SCHEMA, version=3, read_only=read_only)

    def begin_run(self) -> None:
        """A driver starts."""
        with transaction(self._db) as db:
            db.execute("INSERT INTO runs (started, seen) VALUES (?, ?)", (time.time(), time.time()))

    def seen(self) -> None:
        """The driver is alive."""
        with transaction(self._db) as db:
            db.execute("UPDATE runs SET seen = ? WHERE number = (SELECT max(number) FROM runs)", (time.time(),))

    def end_run(self, outcome: str) -> None:
        """The driver ends in an orderly way: "finished" or "stopped"."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE runs SET seen = ?, outcome = ? WHERE number = (SELECT max(number) FROM runs)",
                (time.time(), outcome),
            )

    def event(self, source: str, text: str) -> None:
        """Note that something happened. The text may be foreign: it is cut to 4 KiB, and made printable."""
        text = fitted_text(text, EVENT_BYTES)
        with transaction(self._db) as db:
            db.execute("INSERT INTO events (time, source, text) VALUES (?, ?, ?)", (time.time(), source, text))

    def note_command(self, number: int, source: str, text: str) -> None:
        """Note an operator's command to a researcher; the same number again is not noted."""
        with transaction(self._db) as db:
            if db.execute("INSERT OR IGNORE INTO noted_commands VALUES (?)", (number,)).rowcount:
                db.execute("INSERT INTO events (time, source, text) VALUES (?, ?, ?)", (time.time(), source, text))

    def events(self) -> list[Event]:
        """All events, oldest first."""
        return [Event(row["time"], row["source"], row["text"]) for row in select(self._db, "SELECT * FROM events")]

    def latest(self, after: int = 0) -> tuple[dict[str, str], int]:
        """Return the last event of each source that had one after event number `after`, and the last event's number."""
        numbers = "SELECT max(number) FROM events WHERE number > ? GROUP BY source"
        rows = select(self._db, f"SELECT * FROM events WHERE number IN ({numbers})", after)
        return {row["source"]: row["text"] for row in rows}, max((int(row["number"]) for row in rows), default=after)

    def runs(self) -> list[DriverRun]:
        """All runs, oldest first."""
        rows = select(self._db, "SELECT * FROM runs ORDER BY number")
        return [DriverRun(row["started"], row["seen"], row["outcome"]) for row in rows]

    def finished(self) -> bool:
        """Did the last run bring the campaign to its end?"""
        runs = self.runs()
        return bool(runs) and runs[-1].outcome == "finished"

    def seconds_used(self) -> float:
        """Wall time of all runs together."""
        return sum(run.seen - run.started for run in self.runs())

    def seconds_until(self, moment: float) -> float:
        """Campaign time at a moment: wall time of the runs up to then, without the pauses between them."""
        return sum(max(0.0, min(moment, run.seen) - run.started) for run in self.runs())
