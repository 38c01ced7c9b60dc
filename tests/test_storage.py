"""The files and databases of a campaign: locked, whole, durable, versioned, and clear about what is wrong."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.errors import StorageError
from aar.storage import FileLock, checkpoint, is_locked, open_database, select, transaction, write_atomic

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
    with pytest.raises(StorageError, match="schema version 2; this aar needs version 1"):
        open_database(tmp_path / "a.sqlite", SCHEMA)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("a diary, not a database " * 100)
    with pytest.raises(StorageError, match="damaged or not a SQLite database"):
        open_database(tmp_path / "a.sqlite", SCHEMA)


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/a\.sqlite: .*Check that its folder exists"):
        open_database(tmp_path / "nowhere" / "a.sqlite", SCHEMA)
    with pytest.raises(StorageError, match="the file does not exist"):
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
    with pytest.raises(StorageError, match="is not writable"):
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


def test_one_holder_at_a_time_has_a_lock(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"):
        assert is_locked(tmp_path / "lock")
        with pytest.raises(BlockingIOError):
            FileLock(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")
    FileLock(tmp_path / "lock").close()


def test_a_lock_is_waited_for_as_long_as_asked_and_no_longer(tmp_path: Path) -> None:
    first = FileLock(tmp_path / "lock")
    began = time.monotonic()
    with pytest.raises(BlockingIOError):
        FileLock(tmp_path / "lock", seconds=0.2)
    assert 0.2 <= time.monotonic() - began < 2
    for patience in (10.0, None):
        threading.Timer(0.2, first.close).start()
        first = FileLock(tmp_path / "lock", seconds=patience)
    first.close()


def test_a_lock_ends_with_its_process_however_it_dies(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from aar.storage import FileLock; "
        "lock = FileLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path / "lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert is_locked(tmp_path / "lock")
        holder.kill()
        holder.wait()
    FileLock(tmp_path / "lock").close()


def test_a_child_that_is_handed_a_lock_holds_on_to_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock.descriptor]) as child:
        lock.close()
        assert is_locked(tmp_path / "lock")
        child.kill()
        child.wait()
    assert not is_locked(tmp_path / "lock")


def test_a_lock_whose_owner_is_gone_is_released(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    del lock
    assert not is_locked(tmp_path / "lock")


def test_a_folder_can_be_locked_and_a_link_to_a_lock_cannot(tmp_path: Path) -> None:
    with FileLock(tmp_path, flags=os.O_RDONLY | os.O_DIRECTORY), pytest.raises(BlockingIOError):
        FileLock(tmp_path, flags=os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    contents = [bytes([letter]) * 100_000 for letter in b"ab"]
    write_atomic(tmp_path / "file", contents[0])
    done = threading.Event()

    def rewrite() -> None:
        while not done.is_set():
            for content in contents:
                write_atomic(tmp_path / "file", content, fsync=False)

    writers = [threading.Thread(target=rewrite) for _ in range(2)]
    for writer in writers:
        writer.start()
    assert all((tmp_path / "file").read_bytes() in contents for _ in range(200))
    done.set()
    for writer in writers:
        writer.join()
    assert os.listdir(tmp_path) == ["file"]


def test_text_is_written_as_utf_8_with_the_permissions_asked_for(tmp_path: Path) -> None:
    old_mask = os.umask(0o077)
    try:
        write_atomic(tmp_path / "shown", "é", mode=0o644)
        write_atomic(tmp_path / "own", "é")
    finally:
        os.umask(old_mask)
    assert (tmp_path / "shown").read_bytes() == "é".encode()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("shown", "own")] == [0o644, 0o600]


def test_of_several_writers_that_create_a_file_one_wins_and_the_others_are_refused(tmp_path: Path) -> None:
    def create(number: int) -> bool:
        try:
            write_atomic(tmp_path / "file", f"writer {number}", mode=0o600, exclusive=True)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert sum(created) == 1
    assert (tmp_path / "file").read_text() == f"writer {created.index(True)}"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("fsync", [True, False])
def test_a_file_that_cannot_be_written_keeps_its_content_and_nothing_is_left_behind(
    tmp_path: Path, fsync: bool
) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "file", b"new", fsync=fsync)
    assert os.listdir(tmp_path) == ["file"]
