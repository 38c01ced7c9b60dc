"""A bare git repository, driven through the git command line.

Git runs with an environment built from nothing: the user's configuration, attributes and hooks and the caller's GIT_*
variables have no effect. Every write is flushed to the disk before git ends.

One process at a time writes. The git processes it starts inherit its lock, so that after the writer was killed, its
successor also waits until the last of them has ended.
"""

import os
import subprocess
from pathlib import Path

from aar.errors import StorageError
from aar.storage import FileLock, storage_errors

SECONDS = 60.0
LOCK_SECONDS = 30.0

# unpackLimit: store a snapshot as one pack file, flushed once, instead of one loose object per file
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsync=all", "fastimport.unpackLimit=1", "core.quotePath=false")
_LEFTOVERS = ("refs/*/*.lock", "objects/pack/tmp_*", "fast_import_crash_*")
_DISK_ERRORS = (
    "No space left on device",
    "Out of diskspace",
    "Disk quota exceeded",
    "Read-only file system",
    "Permission denied",
)


class Git:
    """The repository at `folder`, opened for reading, or for writing, which also creates it.

    Raises:
        StorageError: git is not installed, or the repository is missing (reading), cannot be created, or has a writer.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder.resolve()
        self._lock: FileLock | None = None
        if read_only and not (self.folder / "HEAD").is_file():
            raise StorageError(f"{folder}: there is no code store. Check the campaign's folder, or start the campaign.")
        if not read_only:
            with storage_errors(folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(self.folder / "writer.lock")
            self.run("init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(self.folder))

    @property
    def read_only(self) -> bool:
        """True if this object may not write."""
        return self._lock is None

    def close(self) -> None:
        """Release the write lock; this object only reads from now on."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def run(self, command: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run `git command arguments` and return its output.

        Raises:
            StorageError: git failed, did not end within a minute, or is not installed.
        """
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        try:
            process = subprocess.run(
                ["git", *settings, command, *arguments],
                input=stdin,
                capture_output=True,
                timeout=SECONDS,
                env=self._environment(),
                cwd="/",
                pass_fds=[self._lock.descriptor] if self._lock else [],
            )
        except FileNotFoundError:
            raise StorageError("git is not installed. Install it (apt-get install git) and try again.") from None
        except subprocess.TimeoutExpired:
            raise StorageError(
                f"{self.folder}: git {command} timed out after {SECONDS:.0f} s; check the disk."
            ) from None
        if process.returncode != 0:
            output = process.stderr.decode(errors="replace").strip()
            raise StorageError(self._failure(command, process.returncode, output))
        return process.stdout

    def sweep(self) -> None:
        """Remove the files that killed git processes left behind. Only the writer may call this, before it writes."""
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

    def _failure(self, command: str, code: int, output: str) -> str:
        if any(text in output for text in _DISK_ERRORS):
            advice = "Free some space or give this user write access, then try again; nothing acknowledged is lost."
        else:
            advice = "Try again; if it fails again, run `git fsck` there."
        return f"{self.folder}: git {command} failed ({code}): {output or 'no output'}. {advice}"


def _lock(file: Path) -> FileLock:
    """Lock `file` for this process and the children that inherit it; wait for an earlier writer to end."""
    try:
        return FileLock(file, seconds=LOCK_SECONDS)
    except BlockingIOError:
        raise StorageError(f"{file}: another process is writing to this code store. Stop it first.") from None
