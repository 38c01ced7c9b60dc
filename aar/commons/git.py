"""A bare git repository, driven through the git command line.

Git runs with an environment made from nothing: neither the user's configuration, attributes and hooks nor GIT_*
variables of the caller have any effect. Every write is flushed to the disk before git ends.

One process at a time writes. Its lock is inherited by the git processes it starts, so that a successor waits until the
last of them is gone, too, when the writer is killed.
"""

import fcntl
import os
import subprocess
import time
from pathlib import Path
from typing import IO

from aar.errors import StorageError
from aar.storage import storage_errors

SECONDS = 60.0
LOCK_SECONDS = 30.0

# unpackLimit: a snapshot is one pack file, flushed once, and not a loose file for each of its files
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsync=all", "fastimport.unpackLimit=1", "core.quotePath=false")
_LEFTOVERS = ("refs/*/*.lock", "objects/pack/tmp_*", "fast_import_crash_*")
_DISK_TROUBLE = (
    "No space left on device",
    "Out of diskspace",
    "Disk quota exceeded",
    "Read-only file system",
    "Permission denied",
)


class Git:
    """The repository at `folder`: opened for reading, or as its one writer, who also creates it.

    Raises:
        StorageError: git is not installed, the repository is missing (reading), cannot be made or has a writer already.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder.resolve()
        self._lock: IO[bytes] | None = None
        if read_only and not (self.folder / "HEAD").is_file():
            raise StorageError(f"{folder}: there is no code store. Check the campaign's folder, or start the campaign.")
        if not read_only:
            with storage_errors(folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(self.folder / "writer.lock")
            self.run("init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(self.folder))

    @property
    def read_only(self) -> bool:
        """Whether this may not write."""
        return self._lock is None

    def close(self) -> None:
        """Let another process write; this one only reads from now on."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def run(self, command: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """What `git command arguments` prints.

        Raises:
            StorageError: git failed, did not end within a minute, or is not installed.
        """
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        try:
            ended = subprocess.run(
                ["git", *settings, command, *arguments],
                input=stdin,
                capture_output=True,
                timeout=SECONDS,
                env=self._environment(),
                cwd="/",
                pass_fds=[self._lock.fileno()] if self._lock else [],
            )
        except FileNotFoundError:
            raise StorageError("git is not installed. Install it (apt-get install git) and try again.") from None
        except subprocess.TimeoutExpired:
            raise StorageError(f"{self.folder}: git {command} took over {SECONDS:.0f} s. Is the disk well?") from None
        if ended.returncode != 0:
            raise StorageError(self._failure(command, ended.returncode, ended.stderr.decode(errors="replace").strip()))
        return ended.stdout

    def sweep(self) -> None:
        """Remove what git processes that were killed left behind. For the writer only, before it writes."""
        with storage_errors(self.folder):
            for pattern in _LEFTOVERS:
                for file in self.folder.glob(pattern):
                    file.unlink(missing_ok=True)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def _failure(self, command: str, code: int, said: str) -> str:
        if any(trouble in said for trouble in _DISK_TROUBLE):
            advice = "Free some space or give this user write rights, then do it again; nothing acknowledged is lost."
        else:
            advice = "Do the same again; if it fails again, run `git fsck` there."
        return f"{self.folder}: git {command} failed ({code}): {said or 'without a word'}. {advice}"


def _lock(file: Path) -> IO[bytes]:
    """`file`, open and locked for this process and the children that inherit it, as soon as nobody else holds it."""
    opened = file.open("ab")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return opened
        except BlockingIOError:
            if time.monotonic() > deadline:
                opened.close()
                raise StorageError(f"{file}: another process writes to this code store. Stop it first.") from None
        time.sleep(0.02)
