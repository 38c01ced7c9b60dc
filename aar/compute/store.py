"""Results by their request's key, as files that are either whole or not there."""

import errno
from pathlib import Path

from aar.errors import StorageError
from aar.storage import write_atomic


class Artifacts:
    """A folder of content-addressed results. Any number of processes may read and write it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        """The result with this key, or None. Raises StorageError when the disk refuses."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._path(key)}: {error.strerror}. Check the disk and who may read there.") from None

    def has(self, key: str) -> bool:
        """Is there a result with this key?"""
        return self._path(key).exists()

    def put(self, key: str, data: bytes) -> None:
        """Keep a result; when this returns it survives a crash. Raises StorageError when the disk refuses."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data)
        except OSError as error:
            what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise StorageError(f"{path}: {what}. Free some space there and run the same command again.") from None

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key
