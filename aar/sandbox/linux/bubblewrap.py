"""The isolating provider: a sandbox made of Linux namespaces by bubblewrap, and all that it can see and do.

Covers: no uid 0 outside, no capabilities, no way to new privileges or namespaces; its own user, pid, ipc, uts, cgroup
and network namespaces (loopback only, with no listener); a read-only root that holds the runtime, and for a shell the
machine's programs; writable places that have a size limit, and vanish with the sandbox unless they are its workspace;
an environment built from nothing; limits that the kernel enforces per process. Also what `seccomp` (system calls),
`identity` (user ids), `cgroup` and `monitor` (totals) and `processes` (the end of the whole tree) cover. When aar dies,
its sandboxes die too.
Does not cover: bugs of the kernel, of bubblewrap or of a GPU's driver; side channels. Paths of the host can be read in
/proc/self/mountinfo, and the machine's properties (its processor, memory, kernel) in /proc.
"""

import os
import resource
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aar.errors import SandboxError
from aar.sandbox.api import GIB, SHARED_MEMORY_BYTES, Limits, Spec, View
from aar.sandbox.linux import seccomp
from aar.sandbox.linux.cgroup import Cgroup
from aar.sandbox.linux.runtime import Runtime, prepared_runtime
from aar.sandbox.linux.training import DRIVER, PLACE, device_nodes
from aar.sandbox.sandbox import Launch, Sandbox

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
# Address space beyond the memory limit: libraries, stacks, reserved arenas. The monitor enforces memory itself.
ADDRESS_SLACK = GIB


class BubblewrapSandbox(Sandbox):
    """One isolated process tree."""

    def _launch(self) -> Launch:
        runtime = prepared_runtime()
        if self.spec.view == "shell":
            self._name_the_user()
        stages = self._stages() if os.geteuid() == 0 else {}
        shown = {target: stages.get(source, source) for target, source in self.shown.items()}
        workspace = self.spec.workspace and stages.get(self.spec.workspace, self.spec.workspace)
        filter_end = seccomp.filter_fd(routes=self.spec.view == "training")
        status, status_end = os.pipe()
        bwrap = bwrap_command(self.spec, runtime, shown, workspace, status_end, filter_end)
        return Launch(
            command=[*launcher(self.cgroup, stages), *_privileges(self.uid), *bwrap],
            environment=OUTER_ENVIRONMENT,
            descriptors=(status_end, filter_end),
            reports=open(status, "rb"),
        )

    def _name_the_user(self) -> None:
        """Give the user a name, which some programs look up."""
        self._show("/etc/passwd", f"researcher:x:{self.uid}:{self.uid}::/work:/usr/bin/bash\n".encode())
        self._show("/etc/group", f"researcher:x:{self.uid}:\n".encode())

    def _stages(self) -> dict[Path, Path]:
        """Make mount points in the sandbox's own folder for what its user has no path to, such as files in a home."""
        elsewhere = [source for source in self.shown.values() if source.parent != self.folder]
        sources = [*elsewhere, *filter(None, [self.spec.workspace])]
        stages = {source: self.folder / f"stage-{number}" for number, source in enumerate(sources)}
        for source, stage in stages.items():
            if source.is_dir():
                stage.mkdir()
            else:
                stage.touch()
        return stages


class Bubblewrap:
    """The isolating provider; the only one that aar uses unless a campaign's file names another."""

    name = "bubblewrap"
    is_isolating = True

    def open(self, spec: Spec) -> Sandbox:
        """Return a sandbox, to be entered. Entering or starting raises SandboxError if it cannot be built."""
        return BubblewrapSandbox(spec)


def environment(view: View) -> dict[str, str]:
    """Return the environment variables of every sandbox of a view, with paths as it sees them."""
    return {**ENVIRONMENT, **PROGRAMS[view]}


def bwrap_command(
    spec: Spec, runtime: Runtime, shown: Mapping[str, Path], workspace: Path | None, status_fd: int, seccomp_fd: int
) -> list[str]:
    """Return the bubblewrap command that runs `spec`.

    Args:
        shown: host files and folders by the path at which they appear read-only.
        workspace: the folder that becomes /work, at a path that this user can traverse.

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
    """Show the programs of a view, and the loader at the path where they expect it."""
    interpreter = ["--ro-bind", str(runtime.folder), "/runtime"]
    if view != "method":
        return [*interpreter, *_machine()]
    return [*interpreter, "--ro-bind", str(runtime.folder / "lib" / Path(runtime.loader).name), runtime.loader]


def _machine() -> list[str]:
    """Show the distribution's programs, without what was installed by hand in /usr/local."""
    shown = ["--ro-bind", "/usr", "/usr", *_sized("/usr/local", 4096), "--remount-ro", "/usr/local"]
    for place in SYSTEM_LINKS:
        if os.path.islink(place):
            shown += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            shown += ["--ro-bind", place, place]
    return shown + _flatten(("--ro-bind-try", place, place) for place in SYSTEM_FILES)


def _devices(gpus: Sequence[int]) -> list[str]:
    nodes = _flatten(("--dev-bind", str(node), str(node)) for node in device_nodes(gpus))
    # The first process is bubblewrap's; a process that could write its memory could forge the sandbox's exit code.
    first_process = [*_sized("/proc/1", 4096), "--remount-ro", "/proc/1"]
    return ["--proc", "/proc", *first_process, "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", *nodes]


def _writable(limits: Limits, workspace: Path | None) -> list[str]:
    work = ["--bind", str(workspace), "/work"] if workspace else _sized("/work", limits.file_bytes)
    return [*_sized("/dev/shm", SHARED_MEMORY_BYTES), *_sized("/tmp", limits.file_bytes), *work]


def _sized(place: str, size: int) -> list[str]:
    return ["--size", str(size), "--tmpfs", place]


def process_limits(spec: Spec, prlimit: str) -> list[str]:
    """Return the start of a command line that sets the limits which the kernel enforces per process.

    It runs inside the user namespace, so that an ordinary user's other processes do not count against the sandbox.
    """
    limits = spec.limits
    maxima = {
        "cpu": (resource.RLIMIT_CPU, int(limits.cpu_seconds) + 1),  # the monitor, which can report why, comes first
        "nproc": (resource.RLIMIT_NPROC, limits.processes),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes),
        "nofile": (resource.RLIMIT_NOFILE, limits.open_files),
        "core": (resource.RLIMIT_CORE, 1),  # with 0 the kernel would still start a program that takes cores
    }
    if spec.view == "shell":
        del maxima["cpu"]  # its CPU time is counted from zero for each command
    if spec.view != "training":  # torch reserves far more address space than it uses
        maxima["as"] = (resource.RLIMIT_AS, limits.memory_bytes + ADDRESS_SLACK)
    return [prlimit, *(f"--{name}={_allowed(which, value)}" for name, (which, value) in maxima.items())]


def _allowed(which: int, value: int) -> int:
    hard = resource.getrlimit(which)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _flatten(groups: Iterable[Sequence[str]]) -> list[str]:
    return [item for group in groups for item in group]


def program(name: str, package: str) -> str:
    """Return the path of a program of the machine. Raises SandboxError naming the package to install."""
    path = shutil.which(name, path=OUTER_ENVIRONMENT["PATH"])
    if path is None:
        raise SandboxError(f"{name} was not found. Install it: apt-get install {package}")
    return path


# Joins control groups, mounts folders whose path the sandbox's user cannot traverse, and becomes the command. It runs
# as the user who runs aar, in the process that becomes the sandbox, before that identity is given up.
LAUNCHER = """
set -e
while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift
exec "$@"
"""


def launcher(cgroup: Cgroup | None, stages: Mapping[Path, Path]) -> list[str]:
    """Return the start of a command line that joins a control group and bind-mounts each of `stages` for itself alone.

    Raises:
        SandboxError: a required program is missing.
    """
    members = [str(file) for file in cgroup.members] if cgroup else []
    mounts = [str(path) for pair in stages.items() for path in pair]
    if not members and not mounts:
        return []
    mount_namespace = [program("unshare", "util-linux"), "--mount", "--propagation", "private"] if mounts else []
    return [*mount_namespace, "/bin/sh", "-c", LAUNCHER, "launcher", *members, "--", *mounts, "--"]


def _privileges(uid: int) -> list[str]:
    """Return the start of a command line that gives up root's identity; an ordinary user has none to give up."""
    if os.geteuid() != 0:
        return []
    return [
        program("setpriv", "util-linux"), "--reuid", str(uid), "--regid", str(uid), "--clear-groups",
        "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
    ]  # fmt: skip
