"""What a process tree uses at this moment, read from /proc."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROPORTIONAL = re.compile(r"^(?:Pss|SwapPss):\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Usage:
    """What one process uses. `cpu_seconds` includes its ended children that were waited for."""

    pid: int
    resident_bytes: int
    cpu_seconds: float

    def proportional_bytes(self) -> int:
        """Memory with shared pages divided among their users; slower to read. `resident_bytes` where it is hidden."""
        kibibytes = PROPORTIONAL.findall(_read(f"/proc/{self.pid}/smaps_rollup"))
        return sum(int(kib) * 1024 for kib in kibibytes) if kibibytes else self.resident_bytes


def usage(root: int) -> list[Usage]:
    """What `root` and each of its living descendants use; processes that end meanwhile are left out."""
    return [found for found in map(_usage_of, descendants(root)) if found]


def descendants(root: int) -> list[int]:
    """`root` and every process below it. Orphans are found too, as long as they belong to `root`'s pid namespace."""
    found = [root]
    for pid in found:
        found += _children(pid)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and was not waited for does not."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _usage_of(pid: int) -> Usage | None:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return None
    # Counted from the field after the command's name: 11 to 14 are user and system time, own and children's; 21 is RSS.
    ticks = sum(int(field) for field in fields[11:15])
    return Usage(pid, int(fields[21]) * PAGE_BYTES, ticks / TICKS_PER_SECOND)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")  # a process may call itself anything
    except OSError:  # the process has ended, or is not ours to look into
        return ""
