"""A transcript on disk: a file of lines that only grows, and a folder of long texts by the digest of their content.

An entry is on the disk when `append` returns. A crash may lose the entry that was being written, never an earlier one.
Readers ignore an incomplete last line, and the next writer removes it. One process writes at a time.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aar.errors import StorageError
from aar.researchers.transcript.entries import VERSION, Kind, OtherVersion, TranscriptEntry, from_line, kind_of, to_line
from aar.storage import FileLock, storage_errors, write_atomic

FILE = "transcript.jsonl"
TEXTS = "texts"
LOCK_SECONDS = 30.0


def transcript_folder(campaign: Path, researcher: str) -> Path:
    """The folder of a researcher's transcript in its campaign's folder."""
    return campaign / "researchers" / researcher


def transcript_folders(campaign: Path) -> dict[str, Path]:
    """The folders of the transcripts in a campaign's folder, by researcher."""
    return {file.parent.name: file.parent for file in sorted(campaign.glob(f"researchers/*/{FILE}"))}


class Transcript:
    """Writer of the transcript in `folder`, for any thread; it resumes where an earlier process stopped.

    Attributes:
        entries: all entries so far, including those of earlier processes.
        size: bytes on the disk, including long texts.

    Raises:
        StorageError: it cannot be written, another process writes, or an entry is damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn = folder, threading.Lock()
        with storage_errors(folder):
            (folder / TEXTS).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(folder)
            self._file = open(folder / FILE, "ab")  # noqa: SIM115 (it stays open)
            self._remove_torn_line()
        self.entries: list[TranscriptEntry] = list(read(folder))
        self.size = sum(file.stat().st_size for file in (folder / FILE, *(folder / TEXTS).iterdir()))

    def append(self, kind: Kind, **data: Any) -> TranscriptEntry:
        """Add an entry, which is on the disk when this returns.

        Raises:
            StorageError: it could not be written; the transcript is unchanged.
            ValueError: the data is not JSON.
        """
        with self._turn, storage_errors(self._folder / FILE):
            entry = TranscriptEntry(len(self.entries) + 1, time.time(), kind, data)
            line = to_line(entry, self._keep)
            end = self._file.tell()
            try:
                self._file.write(line)
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError:
                os.truncate(self._folder / FILE, end)
                raise
            self.entries.append(entry)
            self.size += len(line)
        return entry

    def close(self) -> None:
        """Let another process write."""
        self._file.close()
        self._lock.close()

    def _keep(self, text: str) -> str:
        content = text.encode(errors="surrogatepass")
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / TEXTS / digest
        with storage_errors(path):
            if not path.exists():
                write_atomic(path, content)
                self.size += len(content)
        return digest

    def _remove_torn_line(self) -> None:
        path = self._folder / FILE
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)
        self._file.seek(0, os.SEEK_END)


def _lock(folder: Path) -> FileLock:
    """Lock a transcript for writing; wait for the previous process, which may be about to end."""
    try:
        return FileLock(folder / FILE, seconds=LOCK_SECONDS)
    except BlockingIOError:
        raise StorageError(f"{folder}: another process writes this transcript; end it") from None


def read(folder: Path, only: Kind | None = None) -> Iterator[TranscriptEntry]:
    """Yield the entries of a transcript, oldest first, also while it is being written; none if it does not exist yet.

    Args:
        only: yield entries of this kind alone; the others are not parsed.

    Raises:
        StorageError: it cannot be read, another version of aar wrote it, or an entry or a text of it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return
    with storage_errors(path), open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            if only and kind_of(line) not in (only, None):
                continue
            try:
                yield from_line(line, lambda digest: _fetch(folder, digest))
            except OtherVersion as other:
                raise StorageError(
                    f"{path}: line {number} has {other}, this aar works with version {VERSION}. Use the version of aar "
                    "that wrote it, or another campaign folder."
                ) from None
            except ValueError as error:
                raise StorageError(f"{path} line {number} is damaged ({error}); restore it from a copy") from None


def _fetch(folder: Path, digest: str) -> str:
    content = (folder / TEXTS / digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"the text {digest[:12]} is not what was written")
    return content.decode(errors="surrogatepass")
