"""The driver's own record of a campaign: its events, its runs, and how much of its time is used up."""

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
    """Something that happened. `time` is in seconds since 1970."""

    time: float
    source: str
    text: str


@dataclass(frozen=True)
class DriverRun:
    """One process that ran the campaign: its first and last moment, and its outcome (None: killed, or running)."""

    started: float
    seen: float
    outcome: str | None


class EventLog:
    """Events and runs. The driver writes; readers open it with `read_only`."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = open_database(folder / FILE, SCHEMA, version=3, read_only=read_only)

    def begin_run(self) -> None:
        """Record that a driver starts."""
        with transaction(self._db) as db:
            db.execute("INSERT INTO runs (started, seen) VALUES (?, ?)", (time.time(), time.time()))

    def seen(self) -> None:
        """Record that the driver is alive."""
        with transaction(self._db) as db:
            db.execute("UPDATE runs SET seen = ? WHERE number = (SELECT max(number) FROM runs)", (time.time(),))

    def end_run(self, outcome: str) -> None:
        """Record that the driver ends, and how: "finished", "stopped", "failed", or "verified"."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE runs SET seen = ?, outcome = ? WHERE number = (SELECT max(number) FROM runs)",
                (time.time(), outcome),
            )

    def event(self, source: str, text: str) -> None:
        """Record an event. The text may be foreign: it is cut to EVENT_BYTES and made printable."""
        text = fitted_text(text, EVENT_BYTES)
        with transaction(self._db) as db:
            db.execute("INSERT INTO events (time, source, text) VALUES (?, ?, ?)", (time.time(), source, text))

    def note_command(self, number: int, source: str, text: str) -> None:
        """Record an operator's command to a researcher, once for each number."""
        with transaction(self._db) as db:
            if db.execute("INSERT OR IGNORE INTO noted_commands VALUES (?)", (number,)).rowcount:
                db.execute("INSERT INTO events (time, source, text) VALUES (?, ?, ?)", (time.time(), source, text))

    def events(self) -> list[Event]:
        """Return all events, oldest first."""
        return [Event(row["time"], row["source"], row["text"]) for row in select(self._db, "SELECT * FROM events")]

    def latest(self, after: int = 0) -> tuple[dict[str, str], int]:
        """Return the last event of each source that had one after event number `after`, and the last event's number."""
        numbers = "SELECT max(number) FROM events WHERE number > ? GROUP BY source"
        rows = select(self._db, f"SELECT * FROM events WHERE number IN ({numbers})", after)
        return {row["source"]: row["text"] for row in rows}, max((int(row["number"]) for row in rows), default=after)

    def runs(self) -> list[DriverRun]:
        """Return all runs, oldest first."""
        rows = select(self._db, "SELECT * FROM runs ORDER BY number")
        return [DriverRun(row["started"], row["seen"], row["outcome"]) for row in rows]

    def finished(self) -> bool:
        """True if the last run finished the campaign."""
        runs = self.runs()
        return bool(runs) and runs[-1].outcome == "finished"

    def seconds_used(self) -> float:
        """Return the wall time of all runs together."""
        return sum(run.seen - run.started for run in self.runs())

    def seconds_until(self, moment: float) -> float:
        """Return the campaign time at a moment: the runs' wall time up to it, without the pauses between them."""
        return sum(max(0.0, min(moment, run.seen) - run.started) for run in self.runs())
