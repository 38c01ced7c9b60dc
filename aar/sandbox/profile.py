"""The bubblewrap command line: all that a sandbox can see and do, in one place.

Covers: no uid 0 outside, no capabilities, no way to new privileges or namespaces; own user, pid, ipc, uts, cgroup and
network namespaces (loopback only, nobody listening); a read-only root holding the runtime alone; writable places that
are sized and vanish with the sandbox; an environment built from nothing; limits that the kernel holds per process.
Does not cover: totals over the process tree (see `watch`), and inode counts of the writable places.
"""

import os
import resource
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.limits import GIB, MIB, Limits
from aar.sandbox.runtime import Runtime

BROKER_SOCKET = "/run/broker.sock"
PYTHON = ("/runtime/bin/python3", "-ISB")
ENVIRONMENT = {
    "PATH": "/runtime/bin",
    "HOME": "/work",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/runtime/lib",
    # One thread each: threads count as processes, and their stacks and arenas as address space.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
OUTER_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}  # the sandbox can read it in /proc/1/environ
SHARED_MEMORY_BYTES = 64 * MIB
# Address space beyond memory proper: libraries, stacks, reserved arenas. The watchdog holds memory itself.
ADDRESS_SLACK = GIB


@dataclass(frozen=True)
class View:
    """What one sandbox sees besides the runtime: host files shown read-only at sandbox paths."""

    runtime: Runtime
    read_only: tuple[tuple[Path, str], ...] = ()


def command_line(
    command: Sequence[str], view: View, limits: Limits, uid: int, status_fd: int, seccomp_fd: int
) -> list[str]:
    """The full command that runs `command` behind the wall as outside user `uid`.

    Raises:
        SandboxError: a program that it needs is missing; the message says how to install it.
    """
    return [
        *_privileges(uid),
        _program("bwrap", "bubblewrap"),
        "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try",
        "--disable-userns", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL",
        "--json-status-fd", str(status_fd), "--seccomp", str(seccomp_fd),
        "--clearenv", *_flatten(("--setenv", name, value) for name, value in ENVIRONMENT.items()),
        *_mounts(view, limits),
        "--chdir", "/work", "--", *_process_limits(limits), *command,
    ]  # fmt: skip


def _privileges(uid: int) -> list[str]:
    """Root gives up its identity before bubblewrap starts; an ordinary user has nothing to give up."""
    if os.geteuid() != 0:
        return []
    return [
        _program("setpriv", "util-linux"), "--reuid", str(uid), "--regid", str(uid), "--clear-groups",
        "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
    ]  # fmt: skip


def _mounts(view: View, limits: Limits) -> list[str]:
    loader = view.runtime.loader
    return [
        "--ro-bind", str(view.runtime.folder), "/runtime",
        "--ro-bind", str(view.runtime.folder / "lib" / Path(loader).name), loader,
        "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev",
        *_sized("/dev/shm", SHARED_MEMORY_BYTES),
        *_sized("/tmp", limits.file_bytes), *_sized("/work", limits.file_bytes),
        *_flatten(("--ro-bind", str(source), target) for source, target in view.read_only),
        "--remount-ro", "/dev", "--remount-ro", "/",
    ]  # fmt: skip


def _sized(place: str, size: int) -> list[str]:
    return ["--size", str(size), "--tmpfs", place]


def _process_limits(limits: Limits) -> list[str]:
    """Set inside the user namespace, so that an ordinary user's other processes do not count against the sandbox."""
    wanted = {
        "as": (resource.RLIMIT_AS, limits.memory_bytes + ADDRESS_SLACK),
        "cpu": (resource.RLIMIT_CPU, int(limits.cpu_seconds) + 1),  # the watchdog, which can say why, comes first
        "nproc": (resource.RLIMIT_NPROC, limits.processes),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "core": (resource.RLIMIT_CORE, 0),
    }
    return ["/runtime/bin/prlimit", *(f"--{name}={_allowed(which, value)}" for name, (which, value) in wanted.items())]


def _allowed(which: int, value: int) -> int:
    hard = resource.getrlimit(which)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _flatten(groups: Iterable[Sequence[str]]) -> list[str]:
    return [item for group in groups for item in group]


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=OUTER_ENVIRONMENT["PATH"])
    if found is None:
        raise SandboxError(f"{name} was not found. Install it: apt-get install {package}")
    return found
