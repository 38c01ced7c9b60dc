"""The machine's memory for sandboxes: what each may use is reserved first, and all together never exceed their share.

Every reservation is a small file that its process holds locked; when the process dies, however it dies, the lock is
gone and so is the reservation. Who does not fit waits. Those whose owner holds least go first, in steps of STEP_BYTES,
then those who have waited longest; after PATIENCE_SECONDS only the time counts, so that nobody is passed by for ever.
And no owner may hold more than OWNER_SHARE.

Training programs have a part of their own: a method keeps its memory while it waits for its program, so the two may
never wait for each other's.

Covers: sandboxes of all processes of one user on this machine: methods, training programs, and shells while a command
runs or something of theirs goes on in the background; of a shell at rest, what it still holds in memory.
Does not cover: sandboxes of other users; warm sandboxes that wait for a method, some 60 MiB each, in which nothing of
an agent runs; the platform's own processes, for which the rest of the machine is left.
"""

import fcntl
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from aar.errors import CrowdedError, SandboxError
from aar.sandbox.api import MIB, Closing, readable_bytes

SHARE = 0.75
"""Of the machine's memory, for all sandboxes; the training workers and the other processes of aar have the rest."""
Part = Literal["programs", "others"]
PARTS: dict[Part, float] = {"programs": 0.4, "others": 0.6}
"""Of that, for training programs, and for methods and shells."""
OWNER_SHARE = 2 / 3
"""Of a part, for one owner's sandboxes; a single one may have more."""
STEP_BYTES = 256 * MIB
PATIENCE_SECONDS = 60.0
WAIT_SECONDS = 3600.0
POLL_SECONDS = (0.05, 1.0)
"""How soon who waits looks again, at first and later."""
SILENT_SECONDS = 15.0
"""Who has not looked for so long has no place in the line: its process may stand still, and nobody waits for it."""
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Claim:
    """What a reservation holds and what it waits for besides, in bytes, since when, and when it asked for it last."""

    owner: str
    part: Part = "others"
    held: int = 0
    wanted: int = 0
    since: float = 0.0
    asked: float = 0.0


def machine_bytes(cgroups: Path = CGROUPS) -> int:
    """The machine's memory, or a container's limit where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no limit: there is no such file, or it says "max"
            limits.append(int((cgroups / name).read_text()))
    return min(limits)


def share_bytes(part: Part) -> int:
    """How much all sandboxes of this part together may use."""
    return int(PARTS[part] * SHARE * machine_bytes())


def check_size(size: int, part: Part) -> None:
    """Raises SandboxError when a sandbox of this size can never run here."""
    if size > share_bytes(part):
        raise SandboxError(
            f"a sandbox may use {readable_bytes(size)}, and all of its kind on this machine together "
            f"{readable_bytes(share_bytes(part))}: use a machine with more memory, or lower sandbox.memory_gib"
        )


class Reservation(Closing):
    """One sandbox's memory, for an owner: a context manager that begins with nothing and leaves nothing."""

    def __init__(self, owner: str, part: Part = "others") -> None:
        """`owner`: whose sandboxes are counted together; "" for nobody's."""
        self._claim = Claim(owner, part)
        self._file: int | None = None
        self._path: Path | None = None

    def take(self, size: int, seconds: float = WAIT_SECONDS, stopped: threading.Event | None = None) -> None:
        """Hold `size` bytes in all, as soon as there is room. What is held already stays held meanwhile.

        Args:
            seconds: how long to wait at most.
            stopped: ends the wait when it is set.

        Raises:
            CrowdedError: there was no room in that time.
            SandboxError: there can never be, or the reservations cannot be written.
        """
        check_size(size, self._claim.part)
        until, since, pause = time.monotonic() + seconds, time.time(), POLL_SECONDS[0]
        wanted = replace(self._claim, wanted=size - self._claim.held, since=since)
        try:
            while not self._granted(replace(wanted, asked=time.time())):
                if time.monotonic() > until or (stopped and stopped.is_set()):
                    raise CrowdedError(
                        f"no {readable_bytes(size)} of memory came free for a sandbox within {seconds:.0f} s: others "
                        "use what the machine has for them. Try again later"
                    )
                time.sleep(pause)
                pause = min(1.2 * pause, POLL_SECONDS[1])
        except BaseException:
            self._set(self._claim)  # whatever ended the wait, nobody shall queue behind it
            raise

    def keep(self, size: int) -> None:
        """Hold no more than `size` bytes from now on."""
        with _locked() as folder:
            self._write(folder, replace(self._claim, held=min(size, self._claim.held)))

    def close(self) -> None:
        """Hold nothing from now on."""
        if self._file is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None
        self._claim = replace(self._claim, held=0)

    def _granted(self, wanted: Claim) -> bool:
        with _locked() as folder:
            self._write(folder, wanted, remember=False)
            claims = [claim for path, claim in _claims(folder) if path != self._path]
            others = [claim for claim in claims if claim.part == wanted.part]
            if not _fits(wanted, others):
                return False
            self._write(folder, replace(wanted, held=wanted.held + wanted.wanted, wanted=0))
            return True

    def _set(self, claim: Claim) -> None:
        with _locked() as folder:
            self._write(folder, claim)

    def _write(self, folder: Path, claim: Claim, *, remember: bool = True) -> None:
        if self._file is None:
            self._path = folder / f"{os.getpid()}-{time.monotonic_ns()}"
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(asdict(claim)).encode(), 0)
        if remember:
            self._claim = claim


def _fits(wanted: Claim, others: list[Claim]) -> bool:
    """Is there room for a claim beside the others of its part, and nobody before it in the line who may have it?"""
    share = share_bytes(wanted.part)
    held: dict[str, int] = {}
    for claim in (*others, wanted):
        held[claim.owner] = held.get(claim.owner, 0) + claim.held

    def may(claim: Claim) -> bool:
        own = held[claim.owner]
        return claim.owner == "" or own == claim.held or own + claim.wanted <= OWNER_SHARE * share

    def rank(claim: Claim) -> tuple[int, float]:
        patient = time.time() - claim.since < PATIENCE_SECONDS
        return (held[claim.owner] // STEP_BYTES if patient else 0, claim.since)

    if wanted.wanted <= 0:
        return True
    if sum(held.values()) + wanted.wanted > share or not may(wanted):
        return False
    waiting = [claim for claim in others if claim.wanted and time.time() - claim.asked < SILENT_SECONDS]
    return not any(may(claim) and rank(claim) < rank(wanted) for claim in waiting)


def _claims(folder: Path) -> Iterator[tuple[Path, Claim]]:
    """The claims of processes that live; files of others are removed."""
    for path in folder.iterdir():
        if path.name == "lock":
            continue
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:  # given up this moment, for which nobody needs the lock
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            yield path, _claim(os.pread(file, 1000, 0))
        finally:
            os.close(file)


def _claim(text: bytes) -> Claim:
    """What a file says, which may be of another version of aar on this machine; nothing, where it says nothing yet."""
    known = {field.name for field in fields(Claim)}
    said: dict[str, Any] = json.loads(text or b"{}")
    return Claim(**({"owner": ""} | {name: value for name, value in said.items() if name in known}))


@contextmanager
def _locked() -> Iterator[Path]:
    """The folder of reservations, for one at a time."""
    folder = _folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise SandboxError(f"{folder} is not this user's own folder. Remove it; aar keeps reservations there.")
        with open(folder / "lock", "w", opener=_own_file) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    except OSError as error:
        raise SandboxError(f"{folder}: {error.strerror}. aar keeps reservations of memory there.") from None


def _own_file(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _folder() -> Path:
    return Path("/run/aar/memory") if os.geteuid() == 0 else Path(f"/tmp/aar-memory-{os.geteuid()}")
