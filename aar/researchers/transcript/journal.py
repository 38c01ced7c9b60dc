"""A transcript on disk: an append-only file of JSON lines, and a folder of long texts by the digest of their content.

An entry is on the disk when `append` returns. A crash may lose the entry that was being written, never an earlier one.
Readers ignore an incomplete last line, and the next writer removes it. One process writes at a time.
"""

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aar.errors import StorageError
from aar.storage import FileLock, storage_errors, write_atomic

VERSION = 2
"""Version of the lines' form, kinds and data, stored in every line. Raised when older readers would misread them."""

Kind = Literal["start", "message", "usage", "call", "result", "api_failure", "command", "reset", "end"]
"""start: a process started or resumed the researcher. message: one message of the conversation. usage: the cost of a
reply. call, result: the start of a tool call, and its answer. api_failure: a failed request. command: an operator's
command that was passed on. reset: the start of a new conversation. end: the end of the researcher, with its reason."""

Place = list[str | int]
"""The path to a value in an entry's data: keys and indices, outermost first."""

LONG_CHARACTERS = 8192
_HEAD = re.compile(rb'\{"version": %d, "number": \d+, "time": [0-9.e+-]+, "kind": "(\w+)"' % VERSION)


@dataclass(frozen=True)
class TranscriptEntry:
    """One recorded event. `number` counts from 1 without gaps; `time` is in seconds since 1970."""

    number: int
    time: float
    kind: Kind
    data: dict[str, Any]


class OtherVersion(Exception):
    """The line was written by another version of aar."""


def to_line(entry: TranscriptEntry, keep: Callable[[str], str]) -> bytes:
    """Return the line of an entry. `keep` stores a long text and returns its digest.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        data = json.loads(json.dumps(entry.data, allow_nan=False))
        places = [place for place, text in _texts(data, []) if len(text) > LONG_CHARACTERS]
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    for place in places:
        _replace(data, place, keep)
    record = {"version": VERSION, "number": entry.number, "time": entry.time, "kind": entry.kind, "data": data}
    return json.dumps(record | ({"kept": places} if places else {}), ensure_ascii=True).encode() + b"\n"


def kind_of(line: bytes) -> str | None:
    """Return the kind of a line's entry without parsing its data; None if it is not a line of this version."""
    head = _HEAD.match(line)
    return head[1].decode() if head else None


def from_line(line: bytes, fetch: Callable[[str], str]) -> TranscriptEntry:
    """Return the entry of a line. `fetch` returns the text with a digest.

    Raises:
        OtherVersion: another version of aar wrote it.
        ValueError: it is not a valid line of a transcript.
    """
    try:
        record = json.loads(line)
        if (version := record.get("version", 1)) != VERSION:
            raise OtherVersion(f"version {version}")
        for place in record.get("kept", []):
            _replace(record["data"], place, fetch)
        return TranscriptEntry(record["number"], record["time"], record["kind"], record["data"])
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not an entry of a transcript: {error}") from None


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, [*place, key])


def _replace(data: Any, place: Place, change: Callable[[str], str]) -> None:
    *outer, last = place
    for key in outer:
        data = data[key]
    data[last] = change(data[last])


FILE = "transcript.jsonl"
TEXTS = "texts"
LOCK_SECONDS = 30.0


def transcript_folder(campaign: Path, researcher: str) -> Path:
    """Return the folder of a researcher's transcript in its campaign's folder."""
    return campaign / "researchers" / researcher


def transcript_folders(campaign: Path) -> dict[str, Path]:
    """Return the folders of the transcripts in a campaign's folder, by researcher."""
    return {file.parent.name: file.parent for file in sorted(campaign.glob(f"researchers/*/{FILE}"))}


class Transcript:
    """The writer of the transcript in `folder`. Safe for any thread. Resumes where an earlier process stopped.

    Attributes:
        entries: all entries so far, including those of earlier processes.
        size: bytes on disk, including long texts.

    Raises:
        StorageError: it cannot be written, another process writes, or an entry is damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn = folder, threading.Lock()
        with storage_errors(folder):
            (folder / TEXTS).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(folder)
            # Unbuffered: a buffer would keep the rest of a line whose write failed, and write it before the next one.
            self._file = open(folder / FILE, "ab", buffering=0)  # noqa: SIM115 (it stays open)
            self._remove_torn_line()
        self.entries: list[TranscriptEntry] = list(read(folder))
        self.size = sum(file.stat().st_size for file in (folder / FILE, *(folder / TEXTS).iterdir()))

    def append(self, kind: Kind, **data: Any) -> TranscriptEntry:
        """Add an entry, which is on disk when this returns.

        Raises:
            StorageError: it could not be written; the transcript is unchanged.
            ValueError: the data is not JSON.
        """
        with self._turn, storage_errors(self._folder / FILE):
            entry = TranscriptEntry(len(self.entries) + 1, time.time(), kind, data)
            line = to_line(entry, self._keep)
            end = self._file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._file.write(rest) :]
                os.fsync(self._file.fileno())
            except OSError:
                os.truncate(self._folder / FILE, end)
                raise
            self.entries.append(entry)
            self.size += len(line)
        return entry

    def close(self) -> None:
        """Release the transcript for another writer."""
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


def _lock(folder: Path) -> FileLock:
    """Lock a transcript for writing; wait for the previous process, which may be about to end."""
    try:
        return FileLock(folder / FILE, seconds=LOCK_SECONDS)
    except BlockingIOError:
        raise StorageError(f"{folder}: another process writes this transcript; end it") from None


def read(folder: Path, only: Kind | None = None) -> Iterator[TranscriptEntry]:
    """Yield the entries of a transcript, oldest first, also while it is being written; none if it does not exist yet.

    Args:
        only: yield entries of this kind only. The others are not parsed.

    Raises:
        StorageError: it cannot be read, another version of aar wrote it, or an entry or text is damaged.
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
        raise ValueError(f"text {digest[:12]} is corrupt: its digest does not match")
    return content.decode(errors="surrogatepass")
