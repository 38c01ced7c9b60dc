"""A sandbox's process tree: its current use of memory and CPU time, read from /proc, and its end.

Covers: ending every process of the tree, also those that left their session or their parent, if the sandbox has its own
pid namespace.
Does not cover: without one, processes that were orphaned before the tree is ended.
"""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from aar.errors import SandboxError

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROPORTIONAL = re.compile(r"^(?:Pss|SwapPss):\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class ProcessUsage:
    """The use of one process. `cpu_seconds` includes its ended children that were waited for."""

    pid: int
    resident_bytes: int
    cpu_seconds: float

    def proportional_bytes(self) -> int:
        """Return memory with shared pages divided among their users. Slower; `resident_bytes` if it is not readable."""
        kibibytes = PROPORTIONAL.findall(_read(f"/proc/{self.pid}/smaps_rollup"))
        return sum(int(kib) * 1024 for kib in kibibytes) if kibibytes else self.resident_bytes


def process_usage(root: int) -> list[ProcessUsage]:
    """Return the use of `root` and each of its living descendants; processes that end meanwhile are left out."""
    return [usage for usage in map(_usage_of, descendants(root)) if usage]


def descendants(root: int) -> list[int]:
    """Return `root` and every process below it, with orphans as long as they belong to `root`'s pid namespace."""
    tree = [root]
    for pid in tree:
        tree += _children(pid)
    return tree


def is_alive(pid: int) -> bool:
    """True if a process still runs; a process that has ended but was not waited for does not."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _usage_of(pid: int) -> ProcessUsage | None:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return None
    # Indices from the field after the command's name: 11 to 14 are user and system time, own and children's; 21 is RSS.
    ticks = sum(int(field) for field in fields[11:15])
    return ProcessUsage(pid, int(fields[21]) * PAGE_BYTES, ticks / TICKS_PER_SECOND)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")  # a process may call itself anything
    except OSError:  # the process has ended, or belongs to another user
        return ""


DEATH_SECONDS = 10.0  # for the kernel to end a killed tree
SIGNAL_EXIT = 128  # plus the number of the signal, as shells and bubblewrap report it

# A sandbox dies with the thread that started it. This one lives as long as the process.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")


def start_process(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a command that dies with its parent so that it dies with this process, not with the calling thread."""
    return _STARTER.submit(lambda: subprocess.Popen(command, **options)).result()


def readable(descriptor: int, seconds: float) -> bool:
    """True if a descriptor becomes readable within `seconds`; also for numbers beyond those that `select` takes."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


class SandboxProcess:
    """A started process and all its descendants.

    Attributes:
        pid: the outermost process.
        init: the first process of the sandbox's pid namespace, as this process numbers it; `pid` where there is none.
        is_namespace: True if it has one, so that the kernel ends the whole tree with its first process.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", reports: IO[bytes] | None) -> None:
        """Block until the first process of the sandbox has started, or could not be started.

        Args:
            reports: bubblewrap's --json-status-fd; None without bubblewrap.
        """
        self.process, self.pid, self.init = process, process.pid, process.pid
        self.is_namespace = reports is not None
        self._reports = reports
        self._pidfd: int | None = None
        self._lock = threading.Lock()  # for the descriptor, whose number may be reused once it is closed
        first = reports.readline() if reports else b""
        if first:
            self.init = int(json.loads(first)["child-pid"])
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                self._pidfd = os.pidfd_open(self.init)

    def process_usage(self) -> list[ProcessUsage]:
        """Return the use of each living process of the tree."""
        return process_usage(self.pid)

    def has(self, pid: int) -> bool:
        """True if a process belongs to the tree."""
        return pid in descendants(self.pid)

    def kill(self) -> None:
        """Send SIGKILL to the whole tree, from any thread."""
        # The kernel ends a whole pid namespace with its first process; without one, each is killed by itself.
        for pid in () if self.is_namespace else descendants(self.pid)[::-1]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self.process.kill()

    def end(self) -> None:
        """Kill the tree and wait until no process of it is left. Called once, by the thread that waits for it.

        Raises:
            SandboxError: the kernel does not end it.
        """
        self.kill()
        self.process.wait()
        if self._pidfd is not None:
            gone = readable(self._pidfd, DEATH_SECONDS)
            with self._lock:
                os.close(self._pidfd)
                self._pidfd = None
            if not gone:
                raise SandboxError(
                    f"sandbox processes are still alive {DEATH_SECONDS:g} s after SIGKILL; check for hung I/O"
                )

    def close(self) -> None:
        """End the tree and release its resources."""
        self.end()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr, self._reports):
            if stream:
                with contextlib.suppress(BrokenPipeError):  # the last input was never read
                    stream.close()

    def exit_code(self) -> int | None:
        """Return the command's exit code after its end: 128 + n for signal n; None if the command never started."""
        if self._reports is None:
            code = self.process.returncode
            return SIGNAL_EXIT - code if code < 0 else code
        lines = self._reports.read().splitlines()
        return next((int(code) for line in lines if (code := json.loads(line).get("exit-code")) is not None), None)
