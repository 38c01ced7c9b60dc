"""Files in and out of a workspace: a folder that an agent owns, and may change while it is read or written.

Protected: nothing outside the folder is read or written, whatever links are planted or swapped in meanwhile, because
every step goes by file descriptor from a folder that is open to one entry in it, and follows no link. An entry is
looked at before it is opened for reading, so that a pipe, socket or device is never opened. Only plain files with one
name are read, and no more of them than a snapshot may hold: what has too many entries, levels or bytes is refused
while it is scanned. Nothing in the folder is executed, and its `.git` is not looked into.

Not protected: what is read while it is changed may be a mixture of before and after. The way to the folder is taken as
it is: its parents must not belong to the agent.

Which files a snapshot may hold: few, small, ordinary, and with names that mean the same everywhere.

Protected: a checkout never leaves its folder and never lands in a `.git` folder, however a file system spells it; names
cannot act on a terminal. Not protected: what the files contain is code of an agent, to be run in a sandbox alone.
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

from aar.errors import CodeStoreError
from aar.text import is_unseen

FILES = 200
FILE_BYTES = 1024 * 1024
TOTAL_BYTES = 8 * 1024 * 1024
NAME_BYTES = 255
DEPTH = 16
"""How many parts a name may have, folders and file."""
SHOWN_CHARACTERS = 80


def check_files(files: Mapping[str, bytes]) -> None:
    """Raises CodeStoreError, with the file's name, when `files` may not become a snapshot."""
    check_count(len(files))
    for name, content in files.items():
        check_name(name)
        check_size(name, len(content))
    check_total(sum(len(content) for content in files.values()))
    for folder in {folder for name in files for folder in _folders(name)} & set(files):
        raise CodeStoreError(f"{folder!r} is a file and also the folder of another file; rename one")
    _check_spellings(files)


def check_count(files: int) -> None:
    """Raises CodeStoreError when a snapshot may not have so many files."""
    if not 1 <= files <= FILES:
        raise CodeStoreError(f"a snapshot has 1 to {FILES} files, not {files}; leave out what is not source")


def check_name(name: str) -> None:
    """Raises CodeStoreError when no file of a snapshot, or folder in it, may have this name: a path with "/"."""
    trouble = _trouble_with(name)
    if trouble:
        raise CodeStoreError(f"the file name {shown(name)} {trouble}; rename or remove the file")


def check_size(name: str, size: int) -> None:
    """Raises CodeStoreError when a file of a snapshot may not have `size` bytes."""
    if size > FILE_BYTES:
        raise CodeStoreError(f"the file {shown(name)} has {size} bytes, at most {FILE_BYTES} are allowed")


def check_total(size: int) -> None:
    """Raises CodeStoreError when the files of a snapshot may not have `size` bytes in all."""
    if size > TOTAL_BYTES:
        raise CodeStoreError(f"the files have {size} bytes in all, at most {TOTAL_BYTES} are allowed")


def shown(name: str) -> str:
    """A name of any length and content, in quotation marks, for a message."""
    return repr(name) if len(name) <= SHOWN_CHARACTERS else repr(name[:SHOWN_CHARACTERS]) + "..."


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _trouble_with(name: str) -> str | None:
    if len(name) > NAME_BYTES or len(name.encode(errors="surrogatepass")) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    if any(is_unseen(character) for character in name):
        return "has control or invisible characters"
    parts = name.split("/")
    if len(parts) > DEPTH:
        return f"lies deeper than {DEPTH} folders"
    if "\\" in name:
        return "has a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return 'is not a plain relative path (it is empty, starts or ends with "/", or has a part "." or "..")'
    if any(_means_git(part) for part in parts):
        return 'has a part ".git"'
    return None


def _means_git(part: str) -> bool:
    """Whether a file system might take `part` for ".git": in any case or spelling, as short name, with a stream ..."""
    return _spelling(part).split(":")[0].rstrip(". ") in (".git", "git~1")


def _spelling(name: str) -> str:
    """What all names have in common that some file system takes for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_spellings(files: Mapping[str, bytes]) -> None:
    """On a file system that ignores case, one file would replace the other, or one folder be merged with another."""
    places = sorted({*files, *(folder for name in files for folder in _folders(name))})
    known: dict[str, str] = {}
    for place in places:
        other = known.setdefault(_spelling(place), place)
        if other != place:
            raise CodeStoreError(f"the file names {shown(other)} and {shown(place)} are alike; rename one")


ENTRIES = 2000
"""How many entries a workspace may have in all, with folders and what is left out."""
LEFT_OUT = frozenset({".git", "__pycache__"})

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_ADVICE = {
    errno.ELOOP: "it is a link, or lies behind one; put a plain file or folder in its place",
    errno.ENOTDIR: "it lies in what is no folder, or in a link to one; put a plain folder in its place",
    errno.EISDIR: "there is a folder of that name; rename or remove it",
    errno.ENOENT: "there is no such file",
    errno.ENOSPC: "the disk is full; remove files",
    errno.EDQUOT: "the disk is full; remove files",
}


def read_workspace(folder: Path) -> dict[str, bytes]:
    """The plain files of a workspace, name to content, fit to be published as a snapshot.

    `.git`, `__pycache__` and compiled Python are left out. Links, pipes, sockets and devices are refused.

    Raises:
        CodeStoreError: an entry cannot become part of a snapshot, or there are too many; the message names it.
    """
    scan = _Scan()
    with _opened(".", str(folder), _FOLDER) as root:
        files = dict(scan.files(root, ""))
    check_files(files)
    return files


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """The content of one plain file of a workspace, of at most `limit` bytes.

    Raises:
        CodeStoreError: it is missing, larger, or no plain file that can be reached without following a link.
    """
    check_name(name)
    with ExitStack() as opened:
        place = opened.enter_context(_opened(name, str(folder), _FOLDER))
        *folders, last = name.split("/")
        for part in folders:
            place = opened.enter_context(_opened(name, part, _FOLDER, place))
        looked_at = opened.enter_context(_opened(name, last, _LOOK, place))
        size = _check_plain(name, os.fstat(looked_at))
        if size > limit:
            raise CodeStoreError(f"the file {shown(name)} has {size} bytes, at most {limit} are allowed")
        return _read(name, looked_at, limit)


def is_folder(folder: Path, name: str) -> bool:
    """True if `name` is a folder of a workspace that is reached without following a link. Nothing outside is looked at.

    Raises:
        CodeStoreError: no file of a workspace can have this name.
    """
    check_name(name)
    with ExitStack() as opened:
        try:
            place = opened.enter_context(_opened(name, str(folder), _FOLDER))
            for part in name.split("/"):
                place = opened.enter_context(_opened(name, part, _FOLDER, place))
        except CodeStoreError:
            return False
    return True


def write_workspace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a snapshot into a workspace; its other files stay.

    Each file appears whole or not at all, and replaces a file or link of its name. They belong to the folder's owner.

    Raises:
        CodeStoreError: `files` may not be a snapshot, a folder of theirs is something else there, or the disk is full.
            Files before that one were written.
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
    """One look through a workspace, with what was found so far."""

    entries: int = 0
    count: int = 0
    size: int = 0

    def files(self, folder: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        """The plain files below an open folder."""
        with os.scandir(folder) as entries:
            for entry in entries:
                self._count_entry()
                if entry.name in LEFT_OUT or entry.name.endswith(".pyc"):
                    continue
                name = prefix + entry.name
                check_name(name)
                with _opened(name, entry.name, _LOOK, folder) as looked_at:
                    yield from self._entry(name, looked_at)

    def _entry(self, name: str, looked_at: int) -> Iterator[tuple[str, bytes]]:
        found = os.fstat(looked_at)
        if stat.S_ISDIR(found.st_mode):
            with _opened(name, ".", _FOLDER, looked_at) as folder:
                yield from self.files(folder, name + "/")
            return
        check_size(name, _check_plain(name, found))
        self.count += 1
        check_count(self.count)
        content = _read(name, looked_at, found.st_size)
        self.size += len(content)
        check_total(self.size)
        yield name, content

    def _count_entry(self) -> None:
        self.entries += 1
        if self.entries > ENTRIES:
            raise CodeStoreError(f"the workspace has more than {ENTRIES} files and folders; remove what is not source")


def _check_plain(name: str, found: os.stat_result) -> int:
    """The size of a plain file. Raises CodeStoreError when it is something else."""
    if not stat.S_ISREG(found.st_mode):
        what = "a link" if stat.S_ISLNK(found.st_mode) else "no plain file"
        raise CodeStoreError(f"{shown(name)} is {what}; remove it, or put a copy of the file in its place")
    if found.st_nlink != 1:
        raise CodeStoreError(f"the file {shown(name)} has {found.st_nlink} names (hard links); put a copy in its place")
    if not found.st_mode & stat.S_IRUSR:
        raise CodeStoreError(f"the file {shown(name)} may not be read by its owner; allow it: chmod u+r")
    return found.st_size


def _read(name: str, looked_at: int, limit: int) -> bytes:
    """The content of a file that was looked at: of that one, whatever has its name by now; `limit` bytes of it."""
    content = bytearray()
    with _opened(name, f"/proc/self/fd/{looked_at}", os.O_RDONLY | os.O_CLOEXEC) as file:
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
    except CodeStoreError:
        with suppress(OSError):
            os.unlink(staged, dir_fd=place)
        raise


def _give(made: int, owner: os.stat_result) -> None:
    """What root wrote is the agent's to change."""
    if os.geteuid() != owner.st_uid:
        os.fchown(made, owner.st_uid, owner.st_gid)


@contextmanager
def _opened(name: str, path: str, flags: int, place: int | None = None) -> Iterator[int]:
    """A file descriptor of `path` in the open folder `place`, for the length of a block."""
    with _refusals(name):
        descriptor = os.open(path, flags, dir_fd=place)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Tell what the operating system says about an entry."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, f"{error.strerror}; change its rights or remove it")
        raise CodeStoreError(f"{shown(name)} in the workspace: {advice}") from None
