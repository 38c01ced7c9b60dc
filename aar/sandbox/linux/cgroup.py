"""A control group for one sandbox: the kernel's own limits on the memory and the processes of a whole tree.

Covers: memory of all processes with their file systems in memory, pipes and kernel structures; no swap; the number of
processes and threads. Version 1 and version 2, below or next to the group of this process.
Does not cover: machines where this process may not make a group, such as most containers, and ordinary users without a
delegated group: there `monitor` sums memory itself, and the kernel limits processes per user id.
"""

import itertools
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aar.sandbox.api import Limits
from aar.sandbox.linux.identity import group_prefix, remove_stale_groups

ROOT = Path("/sys/fs/cgroup")
_NUMBERS = itertools.count()
USAGE = re.compile(r"^usage_usec (\d+)$", re.MULTILINE)
OOM_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Cgroup:
    """The folders of one sandbox's group; in version 1 memory, processes and CPU time have one each.

    `events` is the file that counts kills for lack of memory, `cpu` the one that counts CPU time.
    """

    folders: tuple[Path, ...]
    events: Path
    cpu: Path | None = None

    @property
    def members(self) -> list[Path]:
        """The files to which a process writes its number in order to join."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def ran_out_of_memory(self) -> bool:
        """True if the kernel killed a process of the group because the group's memory was full."""
        try:
            kills = OOM_KILLS.search(self.events.read_text())
        except OSError:
            return False
        return bool(kills and int(kills[1]))

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of all processes that the group ever had, waited for or not; None if unknown."""
        try:
            text = self.cpu.read_text() if self.cpu else ""
        except OSError:
            return None
        microseconds = USAGE.search(text)
        return int(microseconds[1]) / 1e6 if microseconds else int(text) / 1e9 if text.strip().isdigit() else None

    def remove(self) -> None:
        """Remove the group after its processes have ended."""
        for folder in self.folders:
            with suppress(OSError):
                folder.rmdir()


def make_cgroup(limits: Limits, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> Cgroup | None:
    """Make a group with these limits; None if this process may not make one."""
    name = f"{group_prefix()}{next(_NUMBERS)}"
    groups = _own_groups(own)
    if "memory" in groups:
        return _make_version_1(root, groups, name, limits)
    return _make_version_2(root, groups.get("", "/"), name, limits)


def _own_groups(own: Path) -> dict[str, str]:
    """Return the group of this process by controller; version 2 has the controller ""."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return {}
    return {controller: path for _, controllers, path in lines for controller in controllers.split(",")}


def _make_version_1(root: Path, groups: dict[str, str], name: str, limits: Limits) -> Cgroup | None:
    memory = _new_folder(root / "memory" / groups["memory"].lstrip("/"), name)
    if memory is None:
        return None
    folders = [memory]
    limited = _write(memory / "memory.limit_in_bytes", limits.memory_bytes)
    _write(memory / "memory.memsw.limit_in_bytes", limits.memory_bytes)  # missing if swap is not accounted
    pids = _new_folder(root / "pids" / groups["pids"].lstrip("/"), name) if "pids" in groups else None
    if pids and _write(pids / "pids.max", limits.processes):
        folders.append(pids)
    cpu = _new_folder(root / "cpuacct" / groups["cpuacct"].lstrip("/"), name) if "cpuacct" in groups else None
    folders += [cpu] if cpu else []
    return _limited(Cgroup(tuple(folders), memory / "memory.oom_control", cpu and cpu / "cpuacct.usage"), limited)


def _make_version_2(root: Path, path: str, name: str, limits: Limits) -> Cgroup | None:
    own = root / path.lstrip("/")
    # A group with processes of its own cannot hand controllers down; then a sibling is made.
    for parent in (own, own.parent) if own != root else (own,):
        folder = _new_folder(parent, name) if "memory" in _controllers(parent) else None
        if folder:
            limited = _write(folder / "memory.max", limits.memory_bytes)
            _write(folder / "memory.swap.max", 0)
            _write(folder / "memory.oom.group", 1)
            _write(folder / "pids.max", limits.processes)
            return _limited(Cgroup((folder,), folder / "memory.events", folder / "cpu.stat"), limited)
    return None


def _controllers(folder: Path) -> list[str]:
    try:
        return (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return []


def _new_folder(parent: Path, name: str) -> Path | None:
    remove_stale_groups(parent)
    try:
        (parent / name).mkdir()
    except OSError:
        return None
    return parent / name


def _write(file: Path, value: int) -> bool:
    try:
        file.write_text(str(value))
    except OSError:
        return False
    return True


def _limited(cgroup: Cgroup, is_limited: bool) -> Cgroup | None:
    if is_limited:
        return cgroup
    cgroup.remove()
    return None
