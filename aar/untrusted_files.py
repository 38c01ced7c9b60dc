"""Read and write the files of a workspace: a folder that an agent owns and may change at the same moment.

Protected: nothing outside the folder is read or written, whatever links are planted or swapped in meanwhile. Every step
goes by file descriptor, from an open folder to one entry in it, and follows no link. An entry is inspected before it is
opened for reading, so that a pipe, socket or device is never opened. Only plain files with one name are read, and no
more of them than a snapshot may hold: a workspace with too many entries, levels or bytes is refused while it is
scanned. Nothing in the folder is executed, and its `.git` is not read.

Not protected: a file that changes while it is read may come out as a mixture of before and after. The path to the
folder itself is trusted: its parents must not belong to the agent.

Also the rules for the files of a snapshot: few, small, plain, and with names that mean the same on every file system.

Protected: a checkout never leaves its folder and never writes into a `.git` folder, however a file system spells it;
names cannot act on a terminal. Not protected: the files' contents, which are an agent's code and only run in a sandbox.
"""

import errno
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aar.errors import UntrustedFileError
from aar.text import is_unseen

FILES = 200
FILE_BYTES = 1024 * 1024
TOTAL_BYTES = 8 * 1024 * 1024
NAME_BYTES = 255
DEPTH = 16
"""Maximum number of parts in a name, counting folders and file."""
QUOTED_CHARACTERS = 80


def check_files(files: Mapping[str, bytes]) -> None:
    """Check that `files` can become a snapshot. Raises UntrustedFileError naming the file that is refused."""
    check_count(len(files))
    for name, content in files.items():
        check_name(name)
        check_size(name, len(content))
    check_total(sum(len(content) for content in files.values()))
    for folder in {folder for name in files for folder in _folders(name)} & set(files):
        raise UntrustedFileError(f"{folder!r} is a file and also the folder of another file; rename one")
    _check_spellings(files)


def check_count(files: int) -> None:
    """Check the number of files of a snapshot. Raises UntrustedFileError."""
    if not 1 <= files <= FILES:
        raise UntrustedFileError(
            f"a snapshot has 1 to {FILES} files, not {files}; leave out files that are not source code"
        )


def check_name(name: str) -> None:
    """Check the name of a file or folder of a snapshot, a path with "/". Raises UntrustedFileError."""
    fault = _name_fault(name)
    if fault:
        raise UntrustedFileError(f"the file name {quoted_name(name)} {fault}; rename or remove the file")


def check_size(name: str, size: int) -> None:
    """Check the size of one file of a snapshot. Raises UntrustedFileError."""
    if size > FILE_BYTES:
        raise UntrustedFileError(f"the file {quoted_name(name)} has {size} bytes; at most {FILE_BYTES} are allowed")


def check_total(size: int) -> None:
    """Check the total size of a snapshot's files. Raises UntrustedFileError."""
    if size > TOTAL_BYTES:
        raise UntrustedFileError(f"the files have {size} bytes in all; at most {TOTAL_BYTES} are allowed")


def quoted_name(name: str) -> str:
    """Quote a name of any length and content for a message."""
    return repr(name) if len(name) <= QUOTED_CHARACTERS else repr(name[:QUOTED_CHARACTERS]) + "..."


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _name_fault(name: str) -> str | None:
    if len(name) > NAME_BYTES or len(name.encode(errors="surrogatepass")) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    if any(is_unseen(character) for character in name):
        return "has control or invisible characters"
    parts = name.split("/")
    if len(parts) > DEPTH:
        return f"is nested deeper than {DEPTH} folders"
    if "\\" in name:
        return "has a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return 'is not a plain relative path (it is empty, starts or ends with "/", or has a part "." or "..")'
    if any(_means_git(part) for part in parts):
        return 'has a part ".git"'
    return None


def _means_git(part: str) -> bool:
    """True if a file system might take `part` for ".git": in any case or spelling, as a short name, with a stream."""
    return _spelling(part).split(":")[0].rstrip(". ") in (".git", "git~1")


def _spelling(name: str) -> str:
    """Return one spelling for all names that some file system treats as the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_spellings(files: Mapping[str, bytes]) -> None:
    """Refuse names that differ in spelling alone: on some file systems one file would replace another."""
    places = sorted({*files, *(folder for name in files for folder in _folders(name))})
    first_with: dict[str, str] = {}
    for place in places:
        other = first_with.setdefault(_spelling(place), place)
        if other != place:
            raise UntrustedFileError(
                f"the file names {quoted_name(other)} and {quoted_name(place)} are alike; rename one"
            )


ENTRIES = 2000
"""Maximum number of entries in a workspace, counting folders and entries that are left out."""
LEFT_OUT = frozenset({".git", "__pycache__"})

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_ADVICE = {
    errno.ELOOP: "it is a link, or is reached through one; put a plain file or folder in its place",
    errno.ENOTDIR: "its parent is not a folder, or is a link to one; put a plain folder in its place",
    errno.EISDIR: "there is a folder of that name; rename or remove it",
    errno.ENOENT: "there is no such file",
    errno.ENOSPC: "the disk is full; remove files",
    errno.EDQUOT: "the disk is full; remove files",
}


def read_workspace(folder: Path) -> dict[str, bytes]:
    """Return the plain files of a workspace, name to content, ready to be published as a snapshot.

    `.git`, `__pycache__` and compiled Python are left out. Links, pipes, sockets and devices are refused.

    Raises:
        UntrustedFileError: an entry cannot become part of a snapshot, or there are too many; the message names it.
    """
    scan = _Scan()
    with _opened(".", str(folder), _FOLDER) as root:
        files = dict(scan.files(root, ""))
    check_files(files)
    return files


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """Return the content of one plain file of a workspace, of at most `limit` bytes.

    Raises:
        UntrustedFileError: it is missing, too large, not a plain file, or only reachable through a link.
    """
    check_name(name)
    with ExitStack() as opened:
        place = opened.enter_context(_opened(name, str(folder), _FOLDER))
        *folders, last = name.split("/")
        for part in folders:
            place = opened.enter_context(_opened(name, part, _FOLDER, place))
        entry_fd = opened.enter_context(_opened(name, last, _LOOK, place))
        size = _check_plain(name, os.fstat(entry_fd))
        if size > limit:
            raise UntrustedFileError(f"the file {quoted_name(name)} has {size} bytes; at most {limit} are allowed")
        return _read(name, entry_fd, limit)


def is_folder(folder: Path, name: str) -> bool:
    """True if `name` is a folder of a workspace, reachable without following a link. Nothing outside is looked at.

    Raises:
        UntrustedFileError: the name is not allowed for a file of a workspace.
    """
    check_name(name)
    with ExitStack() as opened:
        try:
            place = opened.enter_context(_opened(name, str(folder), _FOLDER))
            for part in name.split("/"):
                place = opened.enter_context(_opened(name, part, _FOLDER, place))
        except UntrustedFileError:
            return False
    return True


def write_workspace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a snapshot into a workspace; its other files remain.

    Each file appears whole or not at all, and replaces a file or link of its name. They belong to the folder's owner.

    Raises:
        UntrustedFileError: `files` cannot be a snapshot, one of their folders exists as something else, or the disk is
            full. Files before the refused one have been written.
    """
    check_files(files)
    for name, content in files.items():
        with ExitStack() as opened:
            place = opened.enter_context(_opened(name, str(folder), _FOLDER))
            owner = os.fstat(place)
            *folders, last = name.split("/")
            for part in folders:
                _make_folder(name, part, place, owner)
                place = opened.enter_context(_opened(name, part, _FOLDER, place))
            _replace(name, last, place, owner, content)


@dataclass
class _Scan:
    """One scan of a workspace, with running totals."""

    entries: int = 0
    count: int = 0
    size: int = 0

    def files(self, folder: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield the plain files below an open folder."""
        with os.scandir(folder) as entries:
            for entry in entries:
                self._count_entry()
                if entry.name in LEFT_OUT or entry.name.endswith(".pyc"):
                    continue
                name = prefix + entry.name
                check_name(name)
                with _opened(name, entry.name, _LOOK, folder) as entry_fd:
                    yield from self._entry(name, entry_fd)

    def _entry(self, name: str, entry_fd: int) -> Iterator[tuple[str, bytes]]:
        status = os.fstat(entry_fd)
        if stat.S_ISDIR(status.st_mode):
            with _opened(name, ".", _FOLDER, entry_fd) as folder:
                yield from self.files(folder, name + "/")
            return
        check_size(name, _check_plain(name, status))
        self.count += 1
        check_count(self.count)
        content = _read(name, entry_fd, status.st_size)
        self.size += len(content)
        check_total(self.size)
        yield name, content

    def _count_entry(self) -> None:
        self.entries += 1
        if self.entries > ENTRIES:
            raise UntrustedFileError(
                f"the workspace has more than {ENTRIES} files and folders; remove files that are not source code"
            )


def _check_plain(name: str, status: os.stat_result) -> int:
    """Return the size of a plain file. Raises UntrustedFileError if it is anything else."""
    if not stat.S_ISREG(status.st_mode):
        what = "a link" if stat.S_ISLNK(status.st_mode) else "not a plain file"
        raise UntrustedFileError(f"{quoted_name(name)} is {what}; remove it or replace it with a copy of the file")
    if status.st_nlink != 1:
        raise UntrustedFileError(
            f"the file {quoted_name(name)} has {status.st_nlink} names (hard links); put a copy in its place"
        )
    if not status.st_mode & stat.S_IRUSR:
        raise UntrustedFileError(f"the file {quoted_name(name)} is not readable by its owner; run: chmod u+r")
    return status.st_size


def _read(name: str, entry_fd: int, limit: int) -> bytes:
    """Read up to `limit` bytes of the file that was inspected, whatever has its name by now."""
    content = bytearray()
    with _opened(name, f"/proc/self/fd/{entry_fd}", os.O_RDONLY | os.O_CLOEXEC) as file:
        while len(content) < limit and (chunk := os.read(file, min(_CHUNK, limit - len(content)))):
            content += chunk
    return bytes(content)


def _make_folder(name: str, part: str, place: int, owner: os.stat_result) -> None:
    try:
        with _refusals(name):
            os.mkdir(part, 0o755, dir_fd=place)
            with _opened(name, part, _FOLDER, place) as made:
                _give(made, owner)
    except FileExistsError:
        pass


def _replace(name: str, last: str, place: int, owner: os.stat_result, content: bytes) -> None:
    staged = f".{secrets.token_hex(8)}.part"
    try:
        with _refusals(name), os.fdopen(os.open(staged, _NEW, 0o644, dir_fd=place), "wb") as file:
            _give(file.fileno(), owner)
            file.write(content)
        with _refusals(name):
            os.replace(staged, last, src_dir_fd=place, dst_dir_fd=place)
    except UntrustedFileError:
        with suppress(OSError):
            os.unlink(staged, dir_fd=place)
        raise


def _give(made: int, owner: os.stat_result) -> None:
    """Hand a file that root wrote to the workspace's owner."""
    if os.geteuid() != owner.st_uid:
        os.fchown(made, owner.st_uid, owner.st_gid)


@contextmanager
def _opened(name: str, path: str, flags: int, place: int | None = None) -> Iterator[int]:
    """Open `path` in the open folder `place`, and close the descriptor at the end of the block."""
    with _refusals(name):
        descriptor = os.open(path, flags, dir_fd=place)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Turn an error of the operating system about an entry into UntrustedFileError with advice."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror}; change its rights or remove it")
        raise UntrustedFileError(f"{quoted_name(name)} in the workspace: {advice}") from None
