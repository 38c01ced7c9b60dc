"""How much disk a workspace uses, counted while its owner may change it.

Covers: bytes and files of everything below the folder, folders too deep to be removed again, and files that were
removed while a process has them open or mapped. A workspace that was over a limit when its sandbox was opened may be
used, so that it can be tidied, but may not grow.
Does not cover: removed files whose descriptors are under way between two processes; only the size of one file and the
number of descriptors bound those.

Whether a running sandbox has used more than it may.

Covers: memory and CPU time of the whole tree, wall time, bytes and files of the workspace and of the places in memory.
The kernel holds memory and the number of processes where it lets aar make a control group (see `cgroup`); elsewhere
memory and CPU time are summed here over all processes.
Does not cover: what is used between two looks. Without a control group memory may be exceeded for a tick, and what
lies in pipes and sockets is bounded by the kernel's limits alone, and CPU time of children that nobody waits for is not
seen; the disk may be exceeded for as long as it takes to count a workspace.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aar.sandbox.api import SHARED_MEMORY_BYTES, Limits, readable_bytes
from aar.sandbox.linux.cgroup import Cgroup
from aar.sandbox.processes import PAGE_BYTES, SandboxProcess, descendants

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


TICK_SECONDS = 0.05
DISK_SECONDS = 0.25
MEMORY_PLACES = ("/tmp", "/dev/shm", "/work")


class ResourceMonitor:
    """Looks at one running sandbox, now and then."""

    def __init__(self, running: SandboxProcess, limits: Limits, workspace: Path | None, cgroup: Cgroup | None) -> None:
        self._running, self._limits, self._cgroup = running, limits, cgroup
        self._disk = Disk(workspace, limits) if workspace else None
        self._next_look = self._next_count = 0.0
        self._largest_place = max(limits.file_bytes, SHARED_MEMORY_BYTES) + PAGE_BYTES
        self.begin(limits.wall_seconds)

    def begin(self, wall_seconds: float | None) -> None:
        """Time begins to count now. `wall_seconds` None: it is not limited."""
        self._started = time.monotonic()
        self._wall_seconds = wall_seconds
        self._cpu_before = self._cpu_seconds()

    def seconds(self) -> float:
        """Since `begin`."""
        return time.monotonic() - self._started

    def excess(self) -> str | None:
        """Which limit is exceeded, for example "memory limit 4 GiB", or None. Cheap to call often."""
        now = time.monotonic()
        if self._wall_seconds is not None and now - self._started > self._wall_seconds:
            return f"wall time limit {self._wall_seconds:g} s"
        if now < self._next_look:
            return None
        self._next_look = now + TICK_SECONDS
        return self.memory_excess() or self._cpu_excess() or self._files_excess(now)

    def memory_excess(self) -> str | None:
        """As `excess`, for memory alone; also right after the tree has ended, if the kernel ended it."""
        return f"memory limit {readable_bytes(self._limits.memory_bytes)}" if self._memory_is_exceeded() else None

    def memory_bytes(self) -> int:
        """What the sandbox uses now, no less: pages that processes share are counted for each of them."""
        resident = sum(process.resident_bytes for process in self._running.process_usage())
        return resident + sum(used for used, _ in self._memory_places())

    def _memory_is_exceeded(self) -> bool:
        if self._cgroup:
            return self._cgroup.ran_out_of_memory()
        most = self._limits.memory_bytes
        if self.memory_bytes() <= most:  # enough to acquit, not to convict
            return False
        in_memory = sum(used for used, _ in self._memory_places())
        return sum(process.proportional_bytes() for process in self._running.process_usage()) + in_memory > most

    def _cpu_excess(self) -> str | None:
        used = self._cpu_seconds() - self._cpu_before
        return f"CPU time limit {self._limits.cpu_seconds:g} s" if used > self._limits.cpu_seconds else None

    def _cpu_seconds(self) -> float:
        counted = self._cgroup.cpu_seconds() if self._cgroup else None
        return sum(process.cpu_seconds for process in self._running.process_usage()) if counted is None else counted

    def _files_excess(self, now: float) -> str | None:
        if any(files > self._limits.files for _, files in self._memory_places()):
            return f"limit of {self._limits.files} files"
        if self._disk is None or now < self._next_count:
            return None
        excess = self._disk.excess(descendants(self._running.pid))
        spent = time.monotonic() - now
        self._next_count = now + max(DISK_SECONDS, 20 * spent)
        return excess

    def _memory_places(self) -> Iterator[tuple[int, int]]:
        """Bytes and files in each file system of the sandbox that lies in memory."""
        places = MEMORY_PLACES if self._disk is None else MEMORY_PLACES[:2]
        for place in places if self._running.is_namespace else ():
            with suppress(OSError):  # the sandbox has ended, or has no such place of its own
                found = os.statvfs(f"/proc/{self._running.init}/root{place}")
                # While bubblewrap is at work, the path leads to a larger file system of the host's.
                if found.f_blocks * found.f_frsize <= self._largest_place:
                    yield (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree
