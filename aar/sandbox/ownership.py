"""Who owns what a sandbox is shown.

Covers: files of ours that one sandbox's user may read and nobody else; a workspace that belongs to the sandbox that
holds it, and to no second one meanwhile.
Does not cover: ordinary users, whose sandboxes have their own user id and so need none of this.
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aar.errors import SandboxError

WAIT_SECONDS = 2.0


def open_to(uid: int, path: Path, mode: int) -> None:
    """Let the sandbox's group use a file or folder, while it stays ours."""
    if os.geteuid() == 0:
        os.chown(path, 0, uid)
    path.chmod(mode)


@contextmanager
def held_workspace(folder: Path, uid: int) -> Iterator[None]:
    """A workspace for one sandbox: locked against others, and owned by the sandbox's user.

    Raises:
        SandboxError: the folder is missing or no folder, or another sandbox has it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxError(f"{folder}: cannot be a workspace: {error.strerror}") from None
    try:
        _lock(descriptor, folder)
        if os.geteuid() == 0:
            _give(folder, uid)
        os.fchmod(descriptor, 0o700)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    """The sandbox of a process that was killed takes a moment to end, so wait for it."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise SandboxError(f"{folder}: another sandbox uses this workspace; end it first") from None
            time.sleep(0.05)


def _give(folder: Path, uid: int) -> None:
    """Change the owner of everything in a folder; links are changed, not followed. Any depth: agents make any."""
    _run("chown", "--recursive", "-P", "--no-dereference", f"{uid}:{uid}", str(folder))


def remove(folder: Path) -> None:
    """Remove a folder that an agent has filled, of any depth, also where it has locked folders of its own."""
    if os.geteuid() != 0:
        _run("chmod", "--recursive", "u+rwX", str(folder))
    _run("rm", "--recursive", "--force", "--one-file-system", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"{command[-1]}: {command[0]} failed: {done.stderr.strip()[-300:]}")
