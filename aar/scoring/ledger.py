"""The ledger: an append-only record of requests to the scorer and its answers, each entry chained to the one before.

An entry's digest is SHA-256 over the previous digest and all of the entry's own fields, so that changing, removing or
inserting an entry changes every later digest. SQLite triggers refuse to update or delete.

Not protected: anyone who may write the file can rewrite all of it, chain included. The head's digest, which the
leaderboard shows, exposes that to readers who noted it down. Entries that were never acknowledged may be lost.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aar.errors import LedgerError
from aar.storage import select

Kind = Literal["split", "seeds", "admitted", "answered", "failed", "refused", "measured", "verified"]
ORIGIN = "0" * 64
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, author TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_kind ON ledger(kind, author);
CREATE TRIGGER IF NOT EXISTS ledger_is_not_updated BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_is_not_deleted BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True)
class LedgerEntry:
    """One entry. `time`: seconds since the epoch; `key`: idempotency key; `previous`: digest of the entry before."""

    number: int
    time: float
    kind: Kind
    author: str
    key: str
    body: dict[str, Any]
    previous: str
    digest: str

    def expected_digest(self) -> str:
        """Compute the digest from the entry's own fields."""
        fields = {name: value for name, value in asdict(self).items() if name != "digest"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def append(db: sqlite3.Connection, kind: Kind, author: str, key: str, body: dict[str, Any]) -> LedgerEntry:
    """Add an entry inside the caller's transaction. The same key again returns the entry that was written first.

    Raises:
        LedgerError: the key was used for another entry.
    """
    body = json.loads(json.dumps(body))
    earlier = entry_with_key(db, key)
    if earlier is not None:
        return _same(earlier, kind, author, body)
    last = db.execute("SELECT number, digest FROM ledger ORDER BY number DESC LIMIT 1").fetchone()
    number, previous = (last["number"] + 1, last["digest"]) if last else (1, ORIGIN)
    entry = LedgerEntry(number, time.time(), kind, author, key, body, previous, "")
    entry = LedgerEntry(**{**asdict(entry), "digest": entry.expected_digest()})
    db.execute(
        "INSERT INTO ledger VALUES (:number, :time, :kind, :author, :key, :body, :previous, :digest)",
        asdict(entry) | {"body": json.dumps(body, sort_keys=True)},
    )
    return entry


def _same(earlier: LedgerEntry, kind: Kind, author: str, body: dict[str, Any]) -> LedgerEntry:
    if (earlier.kind, earlier.author, earlier.body) != (kind, author, body):
        raise LedgerError(f'entry {earlier.number} has the key "{earlier.key}" and other content; use a new key')
    return earlier


def entries(db: sqlite3.Connection) -> list[LedgerEntry]:
    """Return all entries, oldest first."""
    return [_entry(row) for row in select(db, "SELECT * FROM ledger ORDER BY number")]


def entries_of(db: sqlite3.Connection, kind: Kind, author: str) -> list[LedgerEntry]:
    """Return the entries of one kind by one author, oldest first."""
    sql = "SELECT * FROM ledger WHERE kind = ? AND author = ? ORDER BY number"
    return [_entry(row) for row in select(db, sql, kind, author)]


def entry_with_key(db: sqlite3.Connection, key: str) -> LedgerEntry | None:
    """Return the entry with this idempotency key, if there is one."""
    rows = select(db, "SELECT * FROM ledger WHERE key = ?", key)
    return _entry(rows[0]) if rows else None


def head(db: sqlite3.Connection) -> str:
    """Return the digest that stands for the whole ledger: that of its last entry."""
    rows = select(db, "SELECT digest FROM ledger ORDER BY number DESC LIMIT 1")
    return str(rows[0]["digest"]) if rows else ORIGIN


def verify_chain(chain: Sequence[LedgerEntry]) -> None:
    """Check the whole chain. Raises LedgerError, which names the first entry that was changed or is missing."""
    previous = ORIGIN
    for number, entry in enumerate(chain, 1):
        if entry.number != number or entry.previous != previous:
            raise LedgerError(f"something was removed, added or changed before ledger entry {entry.number}")
        if entry.digest != entry.expected_digest():
            raise LedgerError(f"ledger entry {entry.number} ({entry.kind} by {entry.author}) was changed")
        previous = entry.digest


def _entry(row: sqlite3.Row) -> LedgerEntry:
    return LedgerEntry(**{**dict(row), "body": json.loads(row["body"])})
