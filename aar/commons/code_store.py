"""The code store: snapshots of workspaces in one bare git repository, readable with plain git.

A snapshot is a commit whose parent is the snapshot it was built on. It exists from the moment that its one ref does,
`refs/snapshots/<sha256 of the idempotency key>`, which git writes last and atomically. A publish that was killed either
happened or left only unused objects; in both cases it can be repeated with the same key.

The author date is when the snapshot was published. The committer date is a clock that always advances: it orders
snapshots of the same second.
"""

import hashlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from aar.commons.foreign import Foreign
from aar.commons.git import Git
from aar.errors import CodeStoreError, StorageError
from aar.text import checked_line, checked_text, explain
from aar.untrusted_files import check_files

AUTHOR_CHARACTERS = 64
MESSAGE_BYTES = 16 * 1024


def _checked_author(author: str) -> str:
    if author != author.strip() or set(author) & set("<>"):
        raise ValueError('has blanks around it, or "<" or ">"')
    return checked_line(author, AUTHOR_CHARACTERS)


def _checked_message(message: str) -> str:
    if not message.strip():
        raise ValueError("is empty; describe the snapshot in one line")
    return checked_text(message.strip(), MESSAGE_BYTES)


class SnapshotDraft(BaseModel):
    """An author's description of files: the snapshot they were built on, and a message without blanks around it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    author: Annotated[str, AfterValidator(_checked_author)]
    parent: str | None
    message: Annotated[str, AfterValidator(_checked_message)]


class Snapshot(BaseModel):
    """A published state of a workspace. `id` has 40 hex digits, `time` is in whole seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: str
    parent: str | None
    message: Foreign
    id: str
    time: float


KEY_CHARACTERS = 200
SHORTEST_ID = 7

_REFS = "refs/snapshots/"
_FIELDS = ("%(objectname)", "%(authorname)", "%(parent)", "%(contents)", "%(authordate:unix)", "%(committerdate:unix)")


def files_digest(files: Mapping[str, bytes]) -> str:
    """Return 16 hex digits of files and their names, to be part of the idempotency key of their publication."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]


class CodeStore:
    """One code store; the writer creates it. With `read_only` it only reads, while another process may write.

    Every method accepts ids that are shortened to seven digits or more.

    Raises:
        StorageError: the repository is missing (read-only), has another writer, or cannot be used.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._git = Git(path, read_only=read_only)
        newest = self._list("--sort=-committerdate", "--count=1")
        self._last_order = newest[0][1] if newest else 0

    def close(self) -> None:
        """Release the write lock, so that another process may write."""
        self._git.close()

    def publish(
        self, author: str, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str
    ) -> Snapshot:
        """Store `files` (name to content) as a snapshot built on `parent`, or on nothing.

        Raises:
            UntrustedFileError: a file's name or size is not allowed.
            CodeStoreError: a text is out of bounds, `parent` is unknown, or `key` was used for another snapshot.
            StorageError: the snapshot could not be written.
        """
        if self._git.read_only:
            raise StorageError(f"{self._git.folder}: the code store was opened for reading only")
        check_files(files)
        draft = self._draft(author, message, parent)
        ref = _ref(key)
        earlier = self._list(ref)
        if not earlier:
            return self._commit(ref, draft, files)
        snapshot = earlier[0][0]
        same = (snapshot.author, snapshot.parent, snapshot.message.text) == (draft.author, draft.parent, draft.message)
        if not same or self.checkout(snapshot.id) != dict(files):
            raise CodeStoreError(f'the key "{key}" was used before, for another snapshot; use a new key for a new one')
        return snapshot

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        """Return the files of a snapshot, name to content. Raises CodeStoreError when it is unknown."""
        listed = self._git.run("ls-tree", "-r", "-z", self.resolve(snapshot)).split(b"\0")[:-1]
        entries = [(entry.split(b"\t", 1)[1].decode(), entry.split()[2]) for entry in listed]
        answer = self._git.run("cat-file", "--batch", stdin=b"".join(blob + b"\n" for _, blob in entries))
        files: dict[str, bytes] = {}
        for name, _ in entries:
            head, answer = answer.split(b"\n", 1)
            size = int(head.split()[2])
            files[name], answer = answer[:size], answer[size + 1 :]
        return files

    def diff(self, a: str, b: str) -> Foreign:
        """Return the changes from snapshot `a` to `b` as a unified diff. Raises CodeStoreError when one is unknown."""
        options = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
        changed = self._git.run("diff", *options, self.resolve(a), self.resolve(b))
        return Foreign(changed.decode(errors="replace"))

    def log(self, limit: int = 50) -> list[Snapshot]:
        """Return the last `limit` snapshots, newest first."""
        if limit < 1:
            raise CodeStoreError(f"the limit is {limit}; it must be at least 1 snapshot")
        return [snapshot for snapshot, _ in self._list("--sort=-committerdate", f"--count={limit}", _REFS)]

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return author, parent, message and time of a snapshot. Raises CodeStoreError when it is unknown."""
        return self._list(f"--points-at={self.resolve(snapshot)}", _REFS)[0][0]

    def resolve(self, snapshot: str) -> str:
        """Return the full id of the one snapshot with this prefix. Raises CodeStoreError unless exactly one has it."""
        prefix = snapshot.lower()
        if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_ID},40}}", prefix):
            raise CodeStoreError(f"{snapshot!r} is not a snapshot id; give its first {SHORTEST_ID} to 40 hex digits")
        ids = self._git.run("for-each-ref", "--format=%(objectname)", _REFS).decode().split()
        matches = [id for id in ids if id.startswith(prefix)]
        if len(matches) != 1:
            problem = "there is no snapshot" if not matches else f"{len(matches)} snapshots begin with"
            raise CodeStoreError(f"{problem} {prefix}; look it up in the log of the code store")
        return matches[0]

    def _list(self, *options: str) -> list[tuple[Snapshot, int]]:
        """Return snapshots, each with its committer date."""
        listing = self._git.run("for-each-ref", f"--format={'%00'.join(_FIELDS)}%00", *options).decode()
        values = listing.split("\0")[:-1]
        records = [values[start : start + len(_FIELDS)] for start in range(0, len(values), len(_FIELDS))]
        return [_parse(record) for record in records]

    def _draft(self, author: str, message: str, parent: str | None) -> SnapshotDraft:
        parent_id = None if parent is None else self.resolve(parent)
        try:
            return SnapshotDraft(author=author, parent=parent_id, message=message)
        except ValidationError as error:
            raise CodeStoreError(f"the snapshot is refused: {explain(error)}") from None

    def _commit(self, ref: str, draft: SnapshotDraft, files: Mapping[str, bytes]) -> Snapshot:
        now = int(time.time())
        order = max(now, self._last_order + 1)
        self._git.sweep()  # a git process that was killed may have left its lock file, which would block this one
        # With --done, a stream that was cut short makes no commit.
        options = ("--quiet", "--done", "--date-format=raw")
        output = self._git.run("fast-import", *options, stdin=_stream(ref, draft, (now, order), files))
        self._last_order = order
        message = Foreign(draft.message)
        id = output.decode().strip()
        return Snapshot(author=draft.author, parent=draft.parent, message=message, id=id, time=float(now))


def _ref(key: str) -> str:
    try:
        checked_line(key, KEY_CHARACTERS)
    except ValueError as error:
        raise CodeStoreError(f"the idempotency key {error}") from None
    return _REFS + hashlib.sha256(key.encode()).hexdigest()


def _parse(record: list[str]) -> tuple[Snapshot, int]:
    id, author, parent, message, published, order = record
    id = id.removeprefix("\n")  # git ends each record with a line break
    snapshot = Snapshot(id=id, author=author, parent=parent or None, message=Foreign(message), time=float(published))
    return snapshot, int(order)


def _stream(ref: str, draft: SnapshotDraft, times: tuple[int, int], files: Mapping[str, bytes]) -> bytes:
    """Return the input of git fast-import: one commit with all its files, and a command to print its id."""
    lines = [
        f"commit {ref}\nmark :1\nauthor {draft.author} <> {times[0]} +0000\n".encode(),
        f"committer {draft.author} <> {times[1]} +0000\n".encode(),
        _data(draft.message.encode()),
        f"from {draft.parent}\ndeleteall\n".encode() if draft.parent else b"",
    ]
    for name, content in files.items():
        lines += [b'M 100644 inline "' + name.replace('"', '\\"').encode() + b'"\n', _data(content)]
    return b"".join([*lines, b"\nget-mark :1\ndone\n"])


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)
