"""An outside uid for each sandbox.

A sandbox must never be kernel uid 0: even without capabilities, uid 0 may write files such as
/proc/sys/kernel/core_pattern. And the limit on processes is counted per outside uid, so two sandboxes must not share
one.

Covers: sandboxes started as root, by any number of processes of one machine; no process of an earlier sandbox has the
uid of a later one.
Does not cover: sandboxes started as an ordinary user, which keep that user's uid.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aar.errors import SandboxError

COUNT = 1024
# Between the ranges that systemd and subordinate uids use, and the end of 31 bits.
PREFERRED_FIRST = 2_000_000_000
LEASES = Path("/run/aar/uids")


@contextmanager
def leased_uid() -> Iterator[int]:
    """A uid that no other sandbox of this machine uses meanwhile; as an ordinary user, one's own.

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
        raise SandboxError(f"{LEASES}: {error.strerror}. As root, aar keeps its sandboxes' user ids there.") from None
    try:
        uid = _first_uid() + number
        _end_orphans(uid)
        yield uid
    finally:
        os.close(lease)


def _take_lease() -> tuple[int, int]:
    for number in range(COUNT):
        lease = os.open(LEASES / str(number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lease, number
        except BlockingIOError:
            os.close(lease)
    raise SandboxError(f"all {COUNT} user ids for sandboxes are in use; wait for running experiments to end")


def _end_orphans(uid: int) -> None:
    """End what an aar that was killed while it started a sandbox may have left: the lease says that it is nobody's."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and folder.stat().st_uid == uid:
                os.kill(int(folder.name), signal.SIGKILL)


def _first_uid() -> int:
    """The start of the range; inside a container that maps few uids, near the end of what it maps."""
    extents = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    end = max(int(inside) + int(length) for inside, _, length in extents)
    return min(PREFERRED_FIRST, end - 2 * COUNT)
