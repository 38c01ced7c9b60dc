"""Files and SQLite databases of a campaign: durable, locked, versioned, with errors that say what to do.

An acknowledged transaction survives a kill and a power cut (WAL, synchronous=FULL). One process writes, any number
read at the same time. A connection belongs to the thread that opened it.

A lock on a file ends with the processes that hold it, however they die. A file that is written by `write_atomic` is
always whole: the old content or the new.
"""

import errno
import fcntl
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from aar.errors import StorageError, undone_on_error

BUSY_SECONDS = 30.0
CREATION_SECONDS = 5.0
LOCK_POLL_SECONDS = 0.02

_FULL = "the disk is full. Free some space and run the same command again; no acknowledged write is lost."
_RIGHTS = "it is not writable. Give this user write rights to the file and its folder."
_DAMAGED = "it is damaged or not a SQLite database. Restore it from a copy, or move it away to start from scratch."
_BUSY = f"another process has held it for {BUSY_SECONDS:.0f} s. Find that process and stop it."
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
    """Turn errors of SQLite and the operating system about a failing disk or file into StorageError.

    Errors that are a caller's mistake (a constraint, invalid SQL) pass through.
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


class FileLock:
    """A lock on a file or folder, against other processes and other holders in this one; a context manager.

    The lock ends when the last process that has its descriptor open closes it or dies.

    Attributes:
        descriptor: the locked file, to read or change it, or to hand the lock on to a child process.
    """

    def __init__(
        self, path: Path, *, seconds: float | None = 0.0, flags: int = os.O_CREAT | os.O_RDWR, mode: int = 0o600
    ) -> None:
        """Open `path` without following a link, and take the lock.

        Args:
            seconds: how long to wait for another holder; None waits without a limit.
            flags, mode: as for `os.open`.

        Raises:
            BlockingIOError: another process still holds the lock after `seconds`.
            OSError: the file cannot be opened.
        """
        self.descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        # Also closed if the owner was never built to the end.
        self._release = weakref.finalize(self, os.close, self.descriptor)
        with undone_on_error(self._release):
            self._acquire(seconds)

    def _acquire(self, seconds: float | None) -> None:
        if seconds is None:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            return
        deadline = time.monotonic() + seconds
        while True:
            try:
                return fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(LOCK_POLL_SECONDS)

    def close(self) -> None:
        """Release the lock; calling it again has no effect."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_locked(path: Path) -> bool:
    """True if a process holds the `FileLock` on an existing file. Raises OSError if the file cannot be opened.

    It takes a shared lock for an instant to find out, so a process that takes the lock should wait a moment for it.
    """
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def write_atomic(
    path: Path, data: bytes | str, *, fsync: bool = True, mode: int | None = None, exclusive: bool = False
) -> None:
    """Write a file in one step: after a crash it has its old content or the new one, never a part.

    Args:
        fsync: also make the file and its name survive a power cut before this returns.
        mode: the file's permissions, whatever the umask; None: as for any new file.
        exclusive: create the file, and do not replace one that another process has created.

    Raises:
        FileExistsError: `exclusive`, and the file exists.
        OSError: the file could not be written; an older one is unchanged.
    """
    staged = path.with_name(f".{secrets.token_hex(8)}.part")  # unique: several threads may write the same file
    with undone_on_error(partial(staged.unlink, missing_ok=True)):
        with open(
            staged, "xb", opener=lambda name, flags: os.open(name, flags, 0o666 if mode is None else mode)
        ) as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            if fsync:
                os.fsync(file.fileno())
        if exclusive:
            os.link(staged, path)
            staged.unlink()
        else:
            staged.replace(path)
    if fsync:
        _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    """Make names in a folder durable: a renamed file's name survives a power cut only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_database(path: Path, schema: str, *, version: int = 1, read_only: bool = False) -> sqlite3.Connection:
    """Open the database at `path`, and create it with `schema` if it is new.

    Args:
        schema: SQL that can run again after a crash half-way (CREATE ... IF NOT EXISTS).
        version: the version of `schema`, to be raised with every change; a file of another version is refused.
        read_only: for readers next to the process that writes; the file must exist.

    Returns:
        A connection in autocommit mode whose rows are sqlite3.Row; write through `transaction`.

    Raises:
        StorageError: the file is missing, of another version, damaged, or cannot be opened.
    """
    if read_only and not path.is_file():
        raise StorageError(
            f"{path}: the file does not exist. Check the campaign's folder, or start the campaign first."
        )
    mode = "ro" if read_only else "rwc"
    with storage_errors(path):
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        with undone_on_error(connection.close):
            _prepare(connection, path, schema, version, read_only)
    return connection


def checkpoint(path: Path) -> None:
    """Move the content of a database's log into its file, so that a copy of the file alone is complete.

    Pages that another process is reading at this moment may stay in the log. Raises StorageError if it fails.
    """
    with storage_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()


class Connections:
    """One database for several threads: each gets its own connection on its first call."""

    def __init__(self, path: Path, schema: str, *, version: int = 1, read_only: bool = False) -> None:
        """Take the arguments of `open_database`, and open a connection for the calling thread at once."""
        self._open = partial(open_database, path, schema, version=version, read_only=read_only)
        self._local = threading.local()
        self.get()

    def get(self) -> sqlite3.Connection:
        """Return the calling thread's connection. Raises StorageError like `open_database`."""
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
    stored_version = _version(connection)
    deadline = time.monotonic() + CREATION_SECONDS
    while read_only and stored_version == 0 and time.monotonic() < deadline:  # its writer is creating it
        time.sleep(0.02)
        stored_version = _version(connection)
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if stored_version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT;")
            stored_version = version
    if stored_version != version:
        raise StorageError(
            f"{path}: it has schema version {stored_version}; this aar needs version {version}. "
            "Use the version of aar that wrote it, or another campaign folder."
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run a block as one transaction: all of it is on disk when the block ends, none of it when it raises.

    Raises:
        StorageError: the database could not be written.
    """
    with storage_errors(_file(connection)):
        connection.execute("BEGIN IMMEDIATE")
        with undone_on_error(partial(_roll_back, connection)):
            yield connection
            connection.execute("COMMIT")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # a full disk may have rolled back already
        connection.execute("ROLLBACK")


def select(connection: sqlite3.Connection, sql: str, *parameters: object) -> list[sqlite3.Row]:
    """Return all rows of a query. Raises StorageError if the database cannot be read."""
    with storage_errors(_file(connection)):
        return connection.execute(sql, parameters).fetchall()


def _file(connection: sqlite3.Connection) -> Path:
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
