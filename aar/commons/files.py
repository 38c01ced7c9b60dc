"""Which files a snapshot may hold: few, small, ordinary, and with names that mean the same everywhere.

Protected: a checkout never leaves its folder and never lands in a `.git` folder, however a file system spells it; names
cannot act on a terminal. Not protected: what the files contain is code of an agent, to be run in a sandbox alone.
"""

import unicodedata
from collections.abc import Mapping

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
