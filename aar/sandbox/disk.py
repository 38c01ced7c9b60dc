"""How much disk a workspace uses, counted while its owner may change it.

Covers: bytes and files of everything below the folder, folders too deep to be removed again, and files that were
removed while a process has them open or mapped. A workspace that was over a limit when its sandbox was opened may be
used, so that it can be tidied, but may not grow.
Does not cover: removed files whose descriptors are under way between two processes; only the size of one file and the
number of descriptors bound those.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aar.sandbox.limits import Limits, readable_bytes

MAX_DEPTH = 64


@dataclass(frozen=True)
class Used:
    """What lies in a workspace; `readable`: nothing was hidden from the count."""

    size: int = 0
    files: int = 0
    depth: int = 0
    readable: bool = True


class Disk:
    """Counts one workspace, now and then."""

    def __init__(self, workspace: Path, limits: Limits) -> None:
        self._workspace, self._limits = workspace, limits
        before = self._count(most=None)
        self._size, self._files = max(limits.disk_bytes, before.size), max(limits.files, before.files)
        self._depth, self._readable = max(MAX_DEPTH, before.depth), before.readable

    def excess(self, processes: Iterable[int]) -> str | None:
        """Which limit is exceeded, or None. `processes`: those that may have removed files open."""
        used = self._count(most=self._files)
        if used.size > self._size or used.size + removed_bytes(processes, self._workspace) > self._size:
            return f"disk limit {readable_bytes(self._limits.disk_bytes)}"
        if used.files > self._files:
            return f"limit of {self._limits.files} files"
        if used.depth > self._depth:
            return f"limit of {MAX_DEPTH} nested folders"
        if self._readable and not used.readable:
            return "limit of no unreadable folders"
        return None

    def _count(self, most: int | None) -> Used:
        """What there is, up to so many files, and down to the deepest folder that may be."""
        size = files = deepest = 0
        try:
            with _opened(str(self._workspace), None) as root:
                for blocks, depth in _entries(root, 0):
                    size, files, deepest = size + 512 * blocks, files + 1, max(deepest, depth)
                    if most is not None and files > most:
                        break
        except PermissionError:
            return Used(size, files, deepest, readable=False)
        return Used(size, files, deepest)


def _entries(folder: int, depth: int) -> Iterator[tuple[int, int]]:
    """Blocks and depth of everything below an open folder, down to one level more than may be.

    By descriptors, because a path may be too long to be opened, and may lead elsewhere a moment later.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            # Anything may have become something else since it was listed.
            with suppress(FileNotFoundError, NotADirectoryError):
                yield entry.stat(follow_symlinks=False).st_blocks, depth
                if depth <= MAX_DEPTH and entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, folder) as inner:
                        yield from _entries(inner, depth + 1)


@contextmanager
def _opened(name: str, parent: int | None) -> Iterator[int]:
    # O_DIRECTORY comes first: for a link the error is that it is no folder.
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def removed_bytes(processes: Iterable[int], workspace: Path) -> int:
    """Disk bytes of files on the workspace's file system that have no name any more but are open or mapped."""
    device = workspace.stat().st_dev
    found = {
        (one.st_dev, one.st_ino): 512 * one.st_blocks
        for pid in processes
        for one in _held(pid)
        if one.st_nlink == 0 and one.st_dev == device and stat.S_ISREG(one.st_mode)
    }
    return sum(found.values())


def _held(pid: int) -> Iterator[os.stat_result]:
    for kind in ("fd", "map_files"):
        with suppress(OSError):  # the process has ended, or is not ours to look into
            for name in os.listdir(f"/proc/{pid}/{kind}"):
                with suppress(OSError):
                    yield os.stat(f"/proc/{pid}/{kind}/{name}")
