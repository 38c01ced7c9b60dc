"""Whether a running sandbox has used more than it may.

Covers: memory and CPU time of the whole tree, wall time, bytes and files of the workspace and of the places in memory.
The kernel holds memory and the number of processes where it lets aar make a control group (see `cgroup`); elsewhere
memory is summed here over all processes.
Does not cover: what is used between two looks. Without a control group memory may be exceeded for a tick, and what
lies in pipes and sockets is bounded by the kernel's limits alone; the disk may be exceeded for as long as it takes to
count a workspace.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aar.sandbox.cgroup import Cgroup
from aar.sandbox.limits import Limits, readable_bytes
from aar.sandbox.running import Running

TICK_SECONDS = 0.05
DISK_SECONDS = 0.25
MAX_DEPTH = 64  # deeper folders could be made, but hardly be removed again
MEMORY_PLACES = ("/tmp", "/dev/shm", "/work")


class Guard:
    """Looks at one running sandbox, now and then."""

    def __init__(self, running: Running, limits: Limits, workspace: Path | None, cgroup: Cgroup | None) -> None:
        self._running, self._limits, self._workspace, self._cgroup = running, limits, workspace, cgroup
        self._next_look = self._next_count = 0.0
        self.begin(limits.wall_seconds)

    def begin(self, wall_seconds: float | None) -> None:
        """Time begins to count now. `wall_seconds` None: it is not limited."""
        self._started = time.monotonic()
        self._wall_seconds = wall_seconds
        self._cpu_before = sum(process.cpu_seconds for process in self._running.usage())

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

    def _memory_is_exceeded(self) -> bool:
        if self._cgroup:
            return self._cgroup.ran_out_of_memory()
        processes, most = self._running.usage(), self._limits.memory_bytes
        in_memory = sum(used for used, _ in self._memory_places())
        # Resident memory counts shared pages again and again: enough to acquit, not to convict.
        if sum(process.resident_bytes for process in processes) + in_memory <= most:
            return False
        return sum(process.proportional_bytes() for process in processes) + in_memory > most

    def _cpu_excess(self) -> str | None:
        used = sum(process.cpu_seconds for process in self._running.usage()) - self._cpu_before
        return f"CPU time limit {self._limits.cpu_seconds:g} s" if used > self._limits.cpu_seconds else None

    def _files_excess(self, now: float) -> str | None:
        if any(files > self._limits.files for _, files in self._memory_places()):
            return f"limit of {self._limits.files} files"
        if self._workspace is None or now < self._next_count:
            return None
        excess = workspace_excess(self._workspace, self._limits)
        spent = time.monotonic() - now
        self._next_count = now + max(DISK_SECONDS, 20 * spent)
        return excess

    def _memory_places(self) -> Iterator[tuple[int, int]]:
        """Bytes and files in each file system of the sandbox that lies in memory."""
        places = MEMORY_PLACES if self._workspace is None else MEMORY_PLACES[:2]
        for place in places if self._running.is_namespace else ():
            with suppress(OSError):  # the sandbox has ended, or has no such place of its own
                found = os.statvfs(f"/proc/{self._running.init}/root{place}")
                if found.f_files:
                    yield (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree


def workspace_excess(folder: Path, limits: Limits) -> str | None:
    """Which limit a workspace exceeds, or None. Counts no further than needed; its owner may change it meanwhile."""
    used = count = 0
    try:
        with _opened(str(folder), None) as root:
            for size, depth in _entries(root, 0):
                used, count = used + size, count + 1
                if used > limits.disk_bytes:
                    return f"disk limit {readable_bytes(limits.disk_bytes)}"
                if count > limits.files:
                    return f"limit of {limits.files} files"
                if depth == MAX_DEPTH:
                    return f"limit of {MAX_DEPTH} nested folders"
    except PermissionError:  # what is in it could not be counted
        return "limit of no unreadable folders"
    return None


def _entries(folder: int, depth: int) -> Iterator[tuple[int, int]]:
    """Disk bytes and depth of everything below an open folder.

    By descriptors, because a path may be too long to be opened, and may lead elsewhere a moment later.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                yield entry.stat(follow_symlinks=False).st_blocks * 512, depth
                if entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, folder) as inner:
                        yield from _entries(inner, depth + 1)


@contextmanager
def _opened(name: str, parent: int | None) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
