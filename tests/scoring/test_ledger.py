"""The ledger: append-only, chained, and any change is detected."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aar.errors import LedgerError
from aar.scoring.ledger import ORIGIN, SCHEMA, LedgerEntry, append, entries, head, verify_chain
from aar.storage import open_database, transaction


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(tmp_path / "ledger.sqlite", SCHEMA)
    yield connection
    connection.close()


def add(db: sqlite3.Connection, key: str, **body: object) -> LedgerEntry:
    with transaction(db):
        return append(db, "answered", "ada", key, body)


def test_each_entry_carries_the_digest_of_the_one_before(db: sqlite3.Connection) -> None:
    assert head(db) == ORIGIN
    one, other = add(db, "1", pgr=0.5), add(db, "2", pgr=None)
    assert (one.number, other.number) == (1, 2)
    assert one.previous == ORIGIN and other.previous == one.digest
    assert entries(db) == [one, other]
    assert head(db) == other.digest
    verify_chain(entries(db))


def test_the_same_key_again_adds_nothing_and_another_content_is_refused(db: sqlite3.Connection) -> None:
    first = add(db, "1", seeds=(1, 2))
    assert add(db, "1", seeds=[1, 2]) == first
    with pytest.raises(LedgerError, match='entry 1 has the key "1" and other content'):
        add(db, "1", seeds=[3])
    assert entries(db) == [first]


@pytest.mark.parametrize("sql", ["UPDATE ledger SET body = '{}'", "DELETE FROM ledger WHERE number = 2"])
def test_the_database_refuses_to_change_or_remove_an_entry(db: sqlite3.Connection, sql: str) -> None:
    add(db, "1"), add(db, "2")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(sql)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda chain: [chain[0], replace(chain[1], body={"pgr": 0.99}), chain[2]], "entry 2 .* was changed"),
        (lambda chain: [chain[0], chain[2]], "something was removed, added or changed before ledger entry 3"),
        (lambda chain: [chain[0], chain[0], chain[1], chain[2]], "before ledger entry 1"),
        (lambda chain: chain[1:], "before ledger entry 2"),
        (lambda chain: [replace(chain[0], author="eve"), *chain[1:]], "entry 1 .* was changed"),
        (lambda chain: [replace(chain[0], time=0.0), *chain[1:]], "entry 1"),
    ],
)
def test_whatever_was_changed_breaks_the_chain(db: sqlite3.Connection, change: object, told: str) -> None:
    for number in range(3):
        add(db, str(number), pgr=number / 10)
    with pytest.raises(LedgerError, match=told):
        verify_chain(change(entries(db)))  # type: ignore[operator]


def test_the_head_exposes_a_ledger_that_was_rewritten_as_a_whole(db: sqlite3.Connection) -> None:
    add(db, "1", pgr=0.1)
    noted = head(db)
    forged = replace(entries(db)[0], body={"pgr": 0.9})
    forged = replace(forged, digest=forged.expected_digest())
    verify_chain([forged])
    assert forged.digest != noted
