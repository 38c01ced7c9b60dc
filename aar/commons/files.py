"""Which files a snapshot may hold: few, small, ordinary, and with names that mean the same everywhere.

Protected: a checkout never leaves its folder and never lands in a `.git` folder, however a file system spells it; names
cannot act on a terminal. Not protected: what the files contain is code of an agent, to be run in a sandbox alone.
"""

import unicodedata
from collections.abc import Mapping

from aar.errors import CodeStoreError

FILES = 200
FILE_BYTES = 1024 * 1024
TOTAL_BYTES = 8 * 1024 * 1024
NAME_BYTES = 255


def check_files(files: Mapping[str, bytes]) -> None:
    """Raises CodeStoreError, with the file's name, when `files` may not become a snapshot."""
    if not 1 <= len(files) <= FILES:
        raise CodeStoreError(f"a snapshot has 1 to {FILES} files, not {len(files)}; leave out what is not source")
    for name, content in files.items():
        trouble = _trouble_with(name)
        if trouble:
            raise CodeStoreError(f"the file name {name!r} {trouble}; rename or remove the file")
        if len(content) > FILE_BYTES:
            raise CodeStoreError(f"the file {name!r} has {len(content)} bytes, at most {FILE_BYTES} are allowed")
    total = sum(len(content) for content in files.values())
    if total > TOTAL_BYTES:
        raise CodeStoreError(f"the files have {total} bytes in all, at most {TOTAL_BYTES} are allowed")
    for folder in {folder for name in files for folder in _folders(name)} & set(files):
        raise CodeStoreError(f"{folder!r} is a file and also the folder of another file; rename one")


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _trouble_with(name: str) -> str | None:
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name):
        return "has control or invisible characters"
    if len(name.encode()) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    if "\\" in name:
        return "has a backslash"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return 'is not a plain relative path (it is empty, starts or ends with "/", or has a part "." or "..")'
    if any(_means_git(part) for part in name.split("/")):
        return 'has a part ".git"'
    return None


def _means_git(part: str) -> bool:
    """Whether a file system might take `part` for ".git": in any case, as short name, with a stream, dots or blanks."""
    return part.casefold().split(":")[0].rstrip(". ") in (".git", "git~1")
