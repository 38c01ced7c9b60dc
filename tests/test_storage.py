"""The databases of a campaign: durable, versioned, and clear about what is wrong."""

import sqlite3
import threading
from pathlib import Path

import pytest

from aar.errors import StorageError
from aar.storage import checkpoint, open_database, select, transaction

SCHEMA = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL UNIQUE) STRICT;"


def add(database: sqlite3.Connection, text: str) -> None:
    with transaction(database):
        database.execute("INSERT INTO notes VALUES (?)", (text,))


def test_a_database_is_created_once_and_reopened_with_its_content(tmp_path: Path) -> None:
    add(open_database(tmp_path / "a.sqlite", SCHEMA), "kept")
    assert [row["text"] for row in select(open_database(tmp_path / "a.sqlite", SCHEMA), "SELECT * FROM notes")] == [
        "kept"
    ]


def test_writes_are_flushed_to_disk_and_foreign_keys_hold(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.sqlite", SCHEMA)
    pragmas = {
        name: select(database, f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_transaction_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.sqlite", SCHEMA)
    with pytest.raises(KeyError), transaction(database):
        database.execute("INSERT INTO notes VALUES ('lost')")
        raise KeyError
    assert select(database, "SELECT * FROM notes") == []
    add(database, "the next one works")


def test_a_mistake_of_the_caller_is_no_storage_error(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.sqlite", SCHEMA)
    add(database, "once")
    with pytest.raises(sqlite3.IntegrityError):
        add(database, "once")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        select(database, "SELECT * FROM nowhere")


def test_a_full_database_says_so_and_goes_on_when_there_is_space_again(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.sqlite", SCHEMA)
    database.execute("PRAGMA max_page_count = 4")
    with pytest.raises(StorageError, match=r"a\.sqlite: .*the disk is full\. Free some space"):
        add(database, "x" * 100_000)
    database.execute("PRAGMA max_page_count = 4000")
    add(database, "x" * 100_000)
    assert len(select(database, "SELECT * FROM notes")) == 1


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    open_database(tmp_path / "a.sqlite", SCHEMA, version=2).close()
    with pytest.raises(StorageError, match="schema version 2, this aar works with version 1"):
        open_database(tmp_path / "a.sqlite", SCHEMA)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("a diary, not a database " * 100)
    with pytest.raises(StorageError, match="damaged or no SQLite database"):
        open_database(tmp_path / "a.sqlite", SCHEMA)


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/a\.sqlite: .*Check that its folder exists"):
        open_database(tmp_path / "nowhere" / "a.sqlite", SCHEMA)
    with pytest.raises(StorageError, match="there is no such file"):
        open_database(tmp_path / "a.sqlite", SCHEMA, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_what_is_committed_and_cannot_write(tmp_path: Path) -> None:
    writer = open_database(tmp_path / "odd ?#% name.sqlite", SCHEMA)
    reader = open_database(tmp_path / "odd ?#% name.sqlite", SCHEMA, read_only=True)
    add(writer, "seen")
    with transaction(writer):
        writer.execute("INSERT INTO notes VALUES ('not yet')")
        assert [row["text"] for row in select(reader, "SELECT * FROM notes")] == ["seen"]
    assert len(select(reader, "SELECT * FROM notes")) == 2
    with pytest.raises(StorageError, match="may not be written"):
        add(reader, "refused")


def test_a_reader_waits_for_a_writer_that_is_just_creating_the_file(tmp_path: Path) -> None:
    file = tmp_path / "new.sqlite"
    file.touch()
    writer = threading.Timer(0.3, lambda: open_database(file, SCHEMA).close())
    writer.start()
    open_database(file, SCHEMA, read_only=True).close()
    writer.join()


def test_after_a_checkpoint_the_file_alone_is_whole(tmp_path: Path) -> None:
    writer = open_database(tmp_path / "a.sqlite", SCHEMA)
    add(writer, "kept")
    checkpoint(tmp_path / "a.sqlite")
    (tmp_path / "copy.sqlite").write_bytes((tmp_path / "a.sqlite").read_bytes())
    copy = open_database(tmp_path / "copy.sqlite", SCHEMA, read_only=True)
    assert [row["text"] for row in select(copy, "SELECT * FROM notes")] == ["kept"]
    add(writer, "and more")
