"""SQLite databases of a campaign: durable, checked for their version, with errors that say what to do.

An acknowledged transaction survives a kill and a power cut (WAL, synchronous=FULL). One process writes, any number
read at the same time. A connection belongs to the thread that opened it.
"""

import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aar.errors import StorageError

BUSY_SECONDS = 30.0
CREATION_SECONDS = 5.0

_FULL = "the disk is full. Free some space and run the same command again; nothing acknowledged is lost."
_RIGHTS = "it may not be written. Give this user write rights to the file and its folder."
_DAMAGED = "it is damaged or no SQLite database. Restore it from a copy, or move it away to begin anew."
_BUSY = f"another process has held it for {BUSY_SECONDS:.0f} s. Find and stop that process."
_UNREADABLE = "reading or writing it failed. Check that the disk is mounted, healthy and not full."
_NO_OPEN = "it cannot be opened. Check that its folder exists and that this user may write there."

_SQLITE_ADVICE = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _RIGHTS,
    "SQLITE_PERM": _RIGHTS,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_IOERR": _UNREADABLE,
    "SQLITE_CANTOPEN": _NO_OPEN,
}
_OS_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say about a failing disk or file into StorageError.

    Errors that are a caller's mistake (a constraint, wrong SQL) pass through.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", None) or ""
        advice = next((text for prefix, text in _SQLITE_ADVICE.items() if name.startswith(prefix)), None)
        if advice is None:
            raise
        raise StorageError(f"{path}: {error} ({name}): {advice}") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}: {_OS_ADVICE.get(error.errno or 0, _UNREADABLE)}") from error


def open_database(path: Path, schema: str, *, version: int = 1, read_only: bool = False) -> sqlite3.Connection:
    """Open the database at `path`, creating it by `schema` when it is new.

    Args:
        schema: SQL that may run again after a crash half-way (CREATE ... IF NOT EXISTS).
        version: raised by whoever changes `schema`; a file of another version is refused.
        read_only: for readers beside the process that writes; the file must be there.

    Returns:
        A connection in autocommit mode whose rows are sqlite3.Row; write through `transaction`.

    Raises:
        StorageError: the file is missing, of another version, damaged, or cannot be opened.
    """
    if read_only and not path.is_file():
        raise StorageError(f"{path}: there is no such file. Check the campaign's folder, or start the campaign first.")
    mode = "ro" if read_only else "rwc"
    with storage_errors(path):
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            _prepare(connection, path, schema, version, read_only)
        except BaseException:
            connection.close()
            raise
    return connection


def checkpoint(path: Path) -> None:
    """Write what is in a database's log into its file, so that a copy of the file alone is whole.

    What another process is reading just now may stay in the log. Raises StorageError when it cannot be done.
    """
    with storage_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()


class Connections:
    """One database for several threads: each gets a connection of its own when it first asks for one."""

    def __init__(self, path: Path, schema: str, *, version: int = 1, read_only: bool = False) -> None:
        """As `open_database`, which it calls at once for the calling thread."""
        self._open = partial(open_database, path, schema, version=version, read_only=read_only)
        self._local = threading.local()
        self.get()

    def get(self) -> sqlite3.Connection:
        """The calling thread's connection. Raises StorageError as `open_database`."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._open()
        connection: sqlite3.Connection = self._local.connection
        return connection

    def close(self) -> None:
        """Close the calling thread's connection; those of other threads close with them."""
        self.get().close()
        del self._local.connection


def _prepare(connection: sqlite3.Connection, path: Path, schema: str, version: int, read_only: bool) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    found = _version(connection)
    until = time.monotonic() + CREATION_SECONDS
    while read_only and found == 0 and time.monotonic() < until:  # its writer is creating it
        time.sleep(0.02)
        found = _version(connection)
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if found == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT;")
            found = version
    if found != version:
        raise StorageError(
            f"{path}: it has schema version {found}, this aar works with version {version}. "
            "Use the version of aar that wrote it, or another campaign folder."
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: everything in the block is on disk when it ends, or nothing is when it raises.

    Raises:
        StorageError: the database could not be written.
    """
    with storage_errors(_file(connection)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled back already
                connection.execute("ROLLBACK")
            raise


def select(connection: sqlite3.Connection, sql: str, *parameters: object) -> list[sqlite3.Row]:
    """All rows of one query. Raises StorageError when the database cannot be read."""
    with storage_errors(_file(connection)):
        return connection.execute(sql, parameters).fetchall()


def _file(connection: sqlite3.Connection) -> Path:
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
