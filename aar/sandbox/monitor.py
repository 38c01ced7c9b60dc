"""Compare a running sandbox's use with its limits, and count the disk use of its workspace.

Limits of a running sandbox.

Covers: memory and CPU time of the whole tree, wall time, bytes and files of the workspace and of the file systems in
memory. The kernel limits memory and the number of processes if aar may make a control group (see `cgroup`); otherwise
memory and CPU time are summed here over all processes.
Does not cover: use between two checks. Without a control group, memory may be exceeded for a tick, data in pipes and
sockets is bounded by the kernel's limits only, and CPU time of children that are never waited for is not counted. The
disk limit may be exceeded for as long as it takes to count a workspace.

Disk use, counted while the workspace's owner may change it.

Covers: bytes and files of everything below the folder, folders too deep to be removed again, and removed files that a
process still has open or mapped. A workspace that exceeds a limit when its sandbox is opened may be used, so that it
can be tidied, but may not grow.
Does not cover: removed files whose descriptors are in transit between two processes; only the size of one file and the
number of descriptors limit those.
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
    """The use of a workspace. `readable`: no folder was hidden from the count."""

    size: int = 0
    files: int = 0
    depth: int = 0
    readable: bool = True


class Disk:
    """Counts one workspace from time to time."""

    def __init__(self, workspace: Path, limits: Limits) -> None:
        self._workspace, self._limits = workspace, limits
        before = self._count(max_files=None)
        self._size, self._files = max(limits.disk_bytes, before.size), max(limits.files, before.files)
        self._depth, self._readable = max(MAX_DEPTH, before.depth), before.readable

    def excess(self, processes: Iterable[int]) -> str | None:
        """Return the exceeded limit, or None. `processes`: those that may have removed files open."""
        used = self._count(max_files=self._files)
        if used.size > self._size or used.size + removed_bytes(processes, self._workspace) > self._size:
            return f"disk limit {readable_bytes(self._limits.disk_bytes)}"
        if used.files > self._files:
            return f"limit of {self._limits.files} files"
        if used.depth > self._depth:
            return f"limit of {MAX_DEPTH} nested folders"
        if self._readable and not used.readable:
            return "limit of no unreadable folders"
        return None

    def _count(self, max_files: int | None) -> Used:
        """Count the workspace until there are more than `max_files`, and down to one level below MAX_DEPTH."""
        size = files = deepest = 0
        try:
            with _opened(str(self._workspace), None) as root:
                for blocks, depth in _entries(root, 0):
                    size, files, deepest = size + 512 * blocks, files + 1, max(deepest, depth)
                    if max_files is not None and files > max_files:
                        break
        except PermissionError:
            return Used(size, files, deepest, readable=False)
        return Used(size, files, deepest)


def _entries(folder: int, depth: int) -> Iterator[tuple[int, int]]:
    """Yield blocks and depth of everything below an open folder, down to one level below MAX_DEPTH.

    It goes by descriptors, because a path may be too long to be opened, and may lead elsewhere a moment later.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            # An entry may have been replaced since it was listed.
            with suppress(FileNotFoundError, NotADirectoryError):
                yield entry.stat(follow_symlinks=False).st_blocks, depth
                if depth <= MAX_DEPTH and entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, folder) as inner:
                        yield from _entries(inner, depth + 1)


@contextmanager
def _opened(name: str, parent: int | None) -> Iterator[int]:
    # With O_DIRECTORY, the error for a link is NotADirectoryError, like for a file.
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def removed_bytes(processes: Iterable[int], workspace: Path) -> int:
    """Return the disk bytes of files on the workspace's file system that are removed but still open or mapped."""
    device = workspace.stat().st_dev
    bytes_by_file = {
        (status.st_dev, status.st_ino): 512 * status.st_blocks
        for pid in processes
        for status in _open_files(pid)
        if status.st_nlink == 0 and status.st_dev == device and stat.S_ISREG(status.st_mode)
    }
    return sum(bytes_by_file.values())


def _open_files(pid: int) -> Iterator[os.stat_result]:
    for kind in ("fd", "map_files"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            for name in os.listdir(f"/proc/{pid}/{kind}"):
                with suppress(OSError):
                    yield os.stat(f"/proc/{pid}/{kind}/{name}")


TICK_SECONDS = 0.05
DISK_SECONDS = 0.25
MEMORY_FILE_SYSTEMS = ("/tmp", "/dev/shm", "/work")


class ResourceMonitor:
    """Checks one running sandbox against its limits."""

    def __init__(self, running: SandboxProcess, limits: Limits, workspace: Path | None, cgroup: Cgroup | None) -> None:
        self._running, self._limits, self._cgroup = running, limits, cgroup
        self._disk = Disk(workspace, limits) if workspace else None
        self._next_check = self._next_count = 0.0
        self._largest_file_system = max(limits.file_bytes, SHARED_MEMORY_BYTES) + PAGE_BYTES
        self.begin(limits.wall_seconds)

    def begin(self, wall_seconds: float | None) -> None:
        """Start the wall and CPU time from zero. `wall_seconds` None: wall time has no limit."""
        self._started = time.monotonic()
        self._wall_seconds = wall_seconds
        self._cpu_before = self._cpu_seconds()

    def seconds(self) -> float:
        """Return the time since `begin`."""
        return time.monotonic() - self._started

    def excess(self) -> str | None:
        """Return the exceeded limit, for example "memory limit 4 GiB", or None. Cheap to call often."""
        now = time.monotonic()
        if self._wall_seconds is not None and now - self._started > self._wall_seconds:
            return f"wall time limit {self._wall_seconds:g} s"
        if now < self._next_check:
            return None
        self._next_check = now + TICK_SECONDS
        return self.memory_excess() or self._cpu_excess() or self._files_excess(now)

    def memory_excess(self) -> str | None:
        """Like `excess`, for memory only; also valid after the tree has ended, for a kill by the kernel."""
        return f"memory limit {readable_bytes(self._limits.memory_bytes)}" if self._memory_is_exceeded() else None

    def memory_bytes(self) -> int:
        """Return an upper bound of the memory in use: shared pages are counted for each of their processes."""
        resident = sum(process.resident_bytes for process in self._running.process_usage())
        return resident + sum(used for used, _ in self._memory_file_systems())

    def _memory_is_exceeded(self) -> bool:
        if self._cgroup:
            return self._cgroup.ran_out_of_memory()
        limit = self._limits.memory_bytes
        if self.memory_bytes() <= limit:  # an upper bound: it proves that the limit is kept, not that it is exceeded
            return False
        in_memory = sum(used for used, _ in self._memory_file_systems())
        return sum(process.proportional_bytes() for process in self._running.process_usage()) + in_memory > limit

    def _cpu_excess(self) -> str | None:
        used = self._cpu_seconds() - self._cpu_before
        return f"CPU time limit {self._limits.cpu_seconds:g} s" if used > self._limits.cpu_seconds else None

    def _cpu_seconds(self) -> float:
        counted = self._cgroup.cpu_seconds() if self._cgroup else None
        return sum(process.cpu_seconds for process in self._running.process_usage()) if counted is None else counted

    def _files_excess(self, now: float) -> str | None:
        if any(files > self._limits.files for _, files in self._memory_file_systems()):
            return f"limit of {self._limits.files} files"
        if self._disk is None or now < self._next_count:
            return None
        excess = self._disk.excess(descendants(self._running.pid))
        spent = time.monotonic() - now
        self._next_count = now + max(DISK_SECONDS, 20 * spent)
        return excess

    def _memory_file_systems(self) -> Iterator[tuple[int, int]]:
        """Yield used bytes and files of each file system of the sandbox that is in memory."""
        places = MEMORY_FILE_SYSTEMS if self._disk is None else MEMORY_FILE_SYSTEMS[:2]
        for place in places if self._running.is_namespace else ():
            with suppress(OSError):  # the sandbox has ended, or has no such file system
                status = os.statvfs(f"/proc/{self._running.init}/root{place}")
                # While bubblewrap sets up the sandbox, the path leads to a larger file system of the host.
                if status.f_blocks * status.f_frsize <= self._largest_file_system:
                    yield (status.f_blocks - status.f_bfree) * status.f_frsize, status.f_files - status.f_ffree
