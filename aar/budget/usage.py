"""The resources that a campaign's researchers have used, in one database that outlives every process.

Each entry has a key. The same key again changes nothing, so a process that resumes after a crash may write it again.
Several processes write, each in short transactions. Sums are kept beside the entries, so that asking for them takes the
same time however many entries there are.
"""

import sqlite3
import time
from dataclasses import dataclass, fields
from pathlib import Path

from aar.storage import Connections, select, transaction


@dataclass(frozen=True)
class Tokens:
    """Tokens of one request, each counted once: `input` were neither read from the cache nor written to it."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """Tokens of the whole prompt, including cached ones."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        """All tokens, at any price."""
        return self.prompt + self.output


@dataclass(frozen=True)
class Resources:
    """Amounts of all resources that can be limited. Seconds are wall time.

    `checks` are quick checks of a method; `cpu_seconds` and `gpu_seconds` are device time of training and inference.
    """

    tokens: float = 0
    dollars: float = 0
    seconds: float = 0
    experiments: float = 0
    checks: float = 0
    cpu_seconds: float = 0
    gpu_seconds: float = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(getattr(self, name) + getattr(other, name) for name in NAMES))


NAMES = tuple(field.name for field in fields(Resources))
KINDS = tuple(field.name for field in fields(Tokens))


FILE = "spend.sqlite"
VERSION = 3
_COLUMNS = (*KINDS, "dollars", "seconds", "experiments", "checks", "cpu_seconds", "gpu_seconds")
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, time REAL NOT NULL, researcher TEXT NOT NULL, model TEXT,
    {", ".join(f"{column} REAL NOT NULL DEFAULT 0" for column in _COLUMNS)}
) STRICT;
CREATE INDEX IF NOT EXISTS entries_by_time ON entries(time, researcher, dollars);
CREATE TABLE IF NOT EXISTS totals (
    researcher TEXT PRIMARY KEY, {", ".join(f"{column} REAL NOT NULL DEFAULT 0" for column in _COLUMNS)}
) STRICT;
"""
_SUMS = ", ".join(f"coalesce(sum({column}), 0) AS {column}" for column in _COLUMNS)


def _insertion(table: str, *columns: str) -> str:
    return f"INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"


_ADD_ENTRY = "INSERT OR IGNORE " + _insertion("entries", "key", "time", "researcher", "model", *_COLUMNS)
_ADD_TO_TOTALS = f"""
INSERT {_insertion("totals", "researcher", *_COLUMNS)}
ON CONFLICT DO UPDATE SET {", ".join(f"{column} = {column} + excluded.{column}" for column in _COLUMNS)}
"""
_WHOSE = "(? IS NULL OR researcher = ?)"
RATE_SECONDS = 600.0


@dataclass(frozen=True)
class Usage:
    """The usage of one researcher, or of all; `recent_dollars` within the last RATE_SECONDS."""

    resources: Resources
    tokens: Tokens
    recent_dollars: float = 0.0

    @property
    def dollars_per_hour(self) -> float | None:
        """Cost of one hour of a researcher's time; None before any time was used."""
        return self.resources.dollars / self.resources.seconds * 3600 if self.resources.seconds else None


class UsageStore:
    """The usage of the campaign in `folder`; may be called from any thread.

    Raises:
        StorageError: the database is missing (read-only) or cannot be used.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = Connections(folder / FILE, _SCHEMA, version=VERSION, read_only=read_only)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def add(
        self,
        researcher: str,
        key: str,
        *,
        model: str | None = None,
        tokens: Tokens | None = None,
        resources: Resources | None = None,
    ) -> None:
        """Record a use of resources. `resources.tokens` is ignored: tokens are counted from `tokens`."""
        used = {name: value for name, value in vars(resources or Resources()).items() if name != "tokens"}
        row = {"key": key, "time": time.time(), "researcher": researcher, "model": model}
        row |= vars(tokens or Tokens()) | used
        with transaction(self._db.get()) as db:
            if db.execute(_ADD_ENTRY, row).rowcount:
                db.execute(_ADD_TO_TOTALS, row)

    def spent(self, researcher: str | None = None) -> Usage:
        """Return the usage of a researcher, or of all of them together."""
        row = self._totals(researcher)
        sql = f"SELECT coalesce(sum(dollars), 0) FROM entries WHERE time > ? AND {_WHOSE}"
        recent = select(self._db.get(), sql, time.time() - RATE_SECONDS, researcher, researcher)
        return Usage(_resources(row), _tokens(row), float(recent[0][0]))

    def resources(self, researcher: str | None = None) -> Resources:
        """Return the resources of `spent`, in less time: without the recent cost."""
        return _resources(self._totals(researcher))

    def _totals(self, researcher: str | None) -> sqlite3.Row:
        return select(self._db.get(), f"SELECT {_SUMS} FROM totals WHERE {_WHOSE}", researcher, researcher)[0]

    def researchers(self) -> list[str]:
        """Return the names of all researchers with any usage, sorted."""
        return [row[0] for row in select(self._db.get(), "SELECT researcher FROM totals ORDER BY researcher")]


def _tokens(row: sqlite3.Row) -> Tokens:
    return Tokens(**{name: int(row[name]) for name in KINDS})


def _resources(row: sqlite3.Row) -> Resources:
    return Resources(tokens=_tokens(row).total, **{name: row[name] for name in NAMES if name != "tokens"})
