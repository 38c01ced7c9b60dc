"""What is done as the user who runs aar, in the process that becomes a sandbox, before it gives that identity up."""

from collections.abc import Mapping
from pathlib import Path

from aar.sandbox import profile
from aar.sandbox.cgroup import Cgroup

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
    own_mounts = [profile.program("unshare", "util-linux"), "--mount", "--propagation", "private"] if mounts else []
    return [*own_mounts, "/bin/sh", "-c", ENTER, "enter", *members, "--", *mounts, "--"]
