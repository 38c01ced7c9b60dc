"""The bubblewrap command line: all that a sandbox can see and do, in one place.

Covers: no uid 0 outside, no capabilities, no way to new privileges or namespaces; own user, pid, ipc, uts, cgroup and
network namespaces (loopback only, nobody listening); a read-only root holding the runtime, and for a shell the
machine's programs; writable places that are sized, and vanish with the sandbox unless they are its workspace; an
environment built from nothing; limits that the kernel holds per process.
Does not cover: totals over the process tree and over files (see `guard`). Paths of the host can be read in
/proc/self/mountinfo, and what the machine is (its processor, memory, kernel) in /proc.

What is done as the user who runs aar, in the process that becomes a sandbox, before it gives that identity up.
"""

import os
import resource
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.api import GIB, SHARED_MEMORY_BYTES, Limits, Spec, View
from aar.sandbox.linux.cgroup import Cgroup
from aar.sandbox.linux.gpus import DRIVER, device_nodes
from aar.sandbox.linux.packages import PLACE
from aar.sandbox.linux.runtime import Runtime

ENVIRONMENT = {
    "HOME": "/work",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    # One thread each: threads count as processes, and their stacks and arenas as address space.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
PROGRAMS: dict[View, dict[str, str]] = {
    "method": {"PATH": "/runtime/bin", "LD_LIBRARY_PATH": "/runtime/lib"},
    "training": {"PATH": "/runtime/shell:/usr/bin:/bin", "LD_LIBRARY_PATH": DRIVER, "PYTHONPATH": PLACE},
    "shell": {"PATH": "/runtime/shell:/usr/bin:/bin:/usr/sbin:/sbin", "TERM": "dumb", "PAGER": "cat"},
}
OUTER_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}  # the sandbox can read it in /proc/1/environ
SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache")  # names behind names of Debian's programs and libraries
# Address space beyond memory proper: libraries, stacks, reserved arenas. The guard holds memory itself.
ADDRESS_SLACK = GIB


def environment(view: View) -> dict[str, str]:
    """The variables of every sandbox of a view, with paths as it sees them."""
    return {**ENVIRONMENT, **PROGRAMS[view]}


def command_line(
    spec: Spec, runtime: Runtime, shown: Mapping[str, Path], workspace: Path | None, status_fd: int, seccomp_fd: int
) -> list[str]:
    """The bubblewrap command that runs `spec`.

    Args:
        shown: host files and folders by the path at which they appear read-only.
        workspace: the folder that becomes /work, where this user can reach it.

    Raises:
        SandboxError: bubblewrap is not installed.
    """
    variables = {**environment(spec.view), **spec.environment}
    return [
        program("bwrap", "bubblewrap"),
        "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try",
        "--disable-userns", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL",
        "--json-status-fd", str(status_fd), "--seccomp", str(seccomp_fd),
        "--clearenv", *_flatten(("--setenv", name, value) for name, value in variables.items()),
        *_system(spec.view, runtime), *_devices(spec.gpus), *_writable(spec.limits, workspace),
        *_flatten(("--ro-bind", str(source), target) for target, source in shown.items()),
        "--remount-ro", "/dev", "--remount-ro", "/",
        "--chdir", "/work", "--", *process_limits(spec, "/runtime/bin/prlimit"), *spec.command,
    ]  # fmt: skip


def _system(view: View, runtime: Runtime) -> list[str]:
    """The programs of a view, and the loader where they expect it."""
    own = ["--ro-bind", str(runtime.folder), "/runtime"]
    if view != "method":
        return [*own, *_machine()]
    return [*own, "--ro-bind", str(runtime.folder / "lib" / Path(runtime.loader).name), runtime.loader]


def _machine() -> list[str]:
    """The distribution's programs, but not what was installed beside them by hand."""
    shown = ["--ro-bind", "/usr", "/usr", *_sized("/usr/local", 4096), "--remount-ro", "/usr/local"]
    for place in SYSTEM_LINKS:
        if os.path.islink(place):
            shown += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            shown += ["--ro-bind", place, place]
    return shown + _flatten(("--ro-bind-try", place, place) for place in SYSTEM_FILES)


def _devices(gpus: Sequence[int]) -> list[str]:
    nodes = _flatten(("--dev-bind", str(node), str(node)) for node in device_nodes(gpus))
    # The first process is bubblewrap's; whoever could write its memory would speak for the sandbox.
    own_first = [*_sized("/proc/1", 4096), "--remount-ro", "/proc/1"]
    return ["--proc", "/proc", *own_first, "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", *nodes]


def _writable(limits: Limits, workspace: Path | None) -> list[str]:
    work = ["--bind", str(workspace), "/work"] if workspace else _sized("/work", limits.file_bytes)
    return [*_sized("/dev/shm", SHARED_MEMORY_BYTES), *_sized("/tmp", limits.file_bytes), *work]


def _sized(place: str, size: int) -> list[str]:
    return ["--size", str(size), "--tmpfs", place]


def process_limits(spec: Spec, prlimit: str) -> list[str]:
    """The start of a command that sets what the kernel holds per process.

    Used inside the user namespace, so that an ordinary user's other processes do not count against the sandbox.
    """
    limits = spec.limits
    wanted = {
        "cpu": (resource.RLIMIT_CPU, int(limits.cpu_seconds) + 1),  # the guard, which can say why, comes first
        "nproc": (resource.RLIMIT_NPROC, limits.processes),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "core": (resource.RLIMIT_CORE, 1),  # with 0 the kernel would still start a program that takes cores
    }
    if spec.view == "shell":
        del wanted["cpu"]  # its CPU time is counted anew for each command
    if spec.view != "training":  # torch reserves far more address space than it uses
        wanted["as"] = (resource.RLIMIT_AS, limits.memory_bytes + ADDRESS_SLACK)
    return [prlimit, *(f"--{name}={_allowed(which, value)}" for name, (which, value) in wanted.items())]


def _allowed(which: int, value: int) -> int:
    hard = resource.getrlimit(which)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _flatten(groups: Iterable[Sequence[str]]) -> list[str]:
    return [item for group in groups for item in group]


def program(name: str, package: str) -> str:
    """The path of a program of the machine. Raises SandboxError with the package to install."""
    found = shutil.which(name, path=OUTER_ENVIRONMENT["PATH"])
    if found is None:
        raise SandboxError(f"{name} was not found. Install it: apt-get install {package}")
    return found


# Joins control groups, makes folders reachable that the sandbox's user could not walk to, and becomes the command.
ENTER = """
set -e
while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift
exec "$@"
"""


def entrance(cgroup: Cgroup | None, stages: Mapping[Path, Path]) -> list[str]:
    """The start of a command line that enters a control group and bind-mounts each of `stages` where only it sees it.

    Raises:
        SandboxError: a program that is needed is missing.
    """
    members = [str(file) for file in cgroup.members] if cgroup else []
    mounts = [str(path) for pair in stages.items() for path in pair]
    if not members and not mounts:
        return []
    own_mounts = [program("unshare", "util-linux"), "--mount", "--propagation", "private"] if mounts else []
    return [*own_mounts, "/bin/sh", "-c", ENTER, "enter", *members, "--", *mounts, "--"]
