"""The user id of a sandbox outside, the ownership of the files that it is shown, and cleanup after a killed aar.

User ids. A sandbox must never be kernel uid 0: even without capabilities, uid 0 may write files such as
/proc/sys/kernel/core_pattern. And the kernel counts processes per outside uid, so two sandboxes must not share one.

Covers: sandboxes started as root, by any number of processes of one machine; no process of an earlier sandbox has the
uid of a later one.
Does not cover: sandboxes started as an ordinary user, which keep that user's uid.

Ownership.

Covers: files of aar that only one sandbox's user may read; a workspace that belongs to the sandbox that holds it, and
to no other one at the same time.
Does not cover: ordinary users, whose sandboxes have their own user id and so need none of this.

Cleanup: folders in /tmp and empty control groups of an aar that was killed. Their names contain the number of the
process that made them, which distinguishes them from those in use.
"""

import functools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aar.errors import SandboxError
from aar.storage import FileLock

COUNT = 1024
# Above the ranges of systemd and of subordinate uids, and below the end of 31 bits.
PREFERRED_FIRST = 2_000_000_000
LEASES = Path("/run/aar/uids")


@contextmanager
def leased_uid() -> Iterator[int]:
    """Hold a uid that no other sandbox of this machine uses at the same time; an ordinary user keeps its own.

    The lease is a file lock, so it ends with this process even if the process is killed.

    Raises:
        SandboxError: all uids are in use, or the folder of leases cannot be written.
    """
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    try:
        LEASES.mkdir(mode=0o700, parents=True, exist_ok=True)
        lease, number = _take_lease()
    except OSError as error:
        raise SandboxError(f"{LEASES}: {error.strerror}. As root, aar leases user ids for sandboxes there.") from None
    try:
        uid = _first_uid() + number
        _end_orphans(uid)
        yield uid
    finally:
        lease.close()


def _take_lease() -> tuple[FileLock, int]:
    for number in range(COUNT):
        with suppress(BlockingIOError):
            return FileLock(LEASES / str(number)), number
    raise SandboxError(f"all {COUNT} user ids for sandboxes are in use; wait for running experiments to end")


def _end_orphans(uid: int) -> None:
    """Kill processes of an aar that was killed while it started a sandbox: the lease proves that none is in use."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and folder.stat().st_uid == uid:
                os.kill(int(folder.name), signal.SIGKILL)


def _first_uid() -> int:
    """Return the start of the range; in a container that maps few uids, near the end of those."""
    extents = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    end = max(int(inside) + int(length) for inside, _, length in extents)
    return min(PREFERRED_FIRST, end - 2 * COUNT)


WAIT_SECONDS = 2.0
"""Maximum wait for a workspace: the sandbox of a killed process takes a moment to end."""


def open_to(uid: int, path: Path, mode: int) -> None:
    """Let the sandbox's group use a file or folder that remains aar's."""
    if os.geteuid() == 0:
        os.chown(path, 0, uid)
    path.chmod(mode)


@contextmanager
def held_workspace(folder: Path, uid: int) -> Iterator[None]:
    """Hold a workspace for one sandbox: locked against others, and owned by the sandbox's user.

    Raises:
        SandboxError: it is missing or not a folder, or another sandbox holds it.
    """
    with _locked_folder(folder) as lock:
        if os.geteuid() == 0:
            _give(folder, uid)
        os.fchmod(lock.descriptor, 0o700)
        yield


def _locked_folder(folder: Path) -> FileLock:
    try:
        return FileLock(folder, seconds=WAIT_SECONDS, flags=os.O_RDONLY | os.O_DIRECTORY)
    except BlockingIOError:
        raise SandboxError(f"{folder}: another sandbox uses this workspace; end it first") from None
    except OSError as error:
        raise SandboxError(f"{folder}: cannot be a workspace: {error.strerror}") from None


def _give(folder: Path, uid: int) -> None:
    """Change the owner of everything in a folder of any depth; links are changed, not followed."""
    _run("chown", "--recursive", "-P", "--no-dereference", f"{uid}:{uid}", str(folder))


def remove(folder: Path) -> None:
    """Remove a folder that an agent has filled, of any depth, even if the agent took away its own rights."""
    if os.geteuid() != 0:
        _run("chmod", "--recursive", "u+rwX", str(folder))
    _run("rm", "--recursive", "--force", "--one-file-system", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"{command[-1]}: {command[0]} failed: {done.stderr.strip()[-300:]}")


FOLDERS = Path("/tmp")  # regardless of TMPDIR: sandboxes' users must reach it, and a socket's path must be short
_MADE_BY = re.compile(r"^aar-(?:sandbox-)?(\d+)-")


def sandbox_folder_prefix() -> str:
    """Return the prefix of the names of this process's sandbox folders."""
    return f"aar-sandbox-{os.getpid()}-"


def group_prefix() -> str:
    """Return the prefix of the names of this process's control groups."""
    return f"aar-{os.getpid()}-"


@functools.cache
def remove_stale_folders(parent: Path = FOLDERS) -> None:
    """Remove sandbox folders of processes that have ended; once per process."""
    for folder in _stale(parent.glob("aar-sandbox-*")):
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def remove_stale_groups(parent: Path) -> None:
    """Remove control groups below `parent` of processes that have ended; once per process."""
    for folder in _stale(parent.glob("aar-*")):
        with suppress(OSError):  # the kernel keeps a group that has processes
            folder.rmdir()


def _stale(paths: Iterable[Path]) -> list[Path]:
    makers = [(path, _MADE_BY.match(path.name)) for path in paths]
    return [path for path, maker in makers if maker and not Path("/proc", maker[1]).exists()]
