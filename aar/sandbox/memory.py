"""The machine's memory for sandboxes: each reserves what it may use, so that together they never exceed their share.

Every reservation is a small file that its process holds locked. When the process dies, however it dies, the lock is
released and with it the reservation. A claim that does not fit waits. Claims whose owner holds least go first, in steps
of STEP_BYTES, then those that have waited longest. After PATIENCE_SECONDS only the waiting time counts, so that no
claim starves. No owner may hold more than OWNER_SHARE.

Training programs have a separate part: a method keeps its memory while it waits for its program, so the two must
never wait for the same memory.

Covers: sandboxes of all processes of one user on this machine: methods, training programs, and shells while a command
or a background process runs; for an idle shell, the memory that it still holds.
Does not cover: sandboxes of other users; warm sandboxes that wait for a method, about 60 MiB each, in which no code of
an agent runs; the platform's own processes, which have the rest of the machine.
"""

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from aar.errors import CrowdedError, SandboxError, undone_on_error
from aar.sandbox.api import MIB, Closing, readable_bytes
from aar.storage import FileLock

SHARE = 0.75
"""Share of the machine's memory for all sandboxes; training workers and aar's other processes have the rest."""
Part = Literal["programs", "others"]
PARTS: dict[Part, float] = {"programs": 0.4, "others": 0.6}
"""The division of that share between training programs, and methods with shells."""
OWNER_SHARE = 2 / 3
"""Share of a part that one owner's sandboxes may hold; a single sandbox may have more."""
STEP_BYTES = 256 * MIB
PATIENCE_SECONDS = 60.0
WAIT_SECONDS = 3600.0
POLL_SECONDS = (0.05, 1.0)
"""The first and the longest pause between two attempts of a waiting claim."""
SILENT_SECONDS = 15.0
"""A claim that has not tried for this long loses its place in the queue: its process may be suspended."""
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Claim:
    """The bytes that a reservation holds and those it still waits for, since when, and when it last tried."""

    owner: str
    part: Part = "others"
    held: int = 0
    wanted: int = 0
    since: float = 0.0
    asked: float = 0.0


def machine_bytes(cgroups: Path = CGROUPS) -> int:
    """Return the machine's memory in bytes, or the container's limit if that is lower."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no limit: the file does not exist, or contains "max"
            limits.append(int((cgroups / name).read_text()))
    return min(limits)


def share_bytes(part: Part) -> int:
    """Return the bytes that all sandboxes of this part may use together."""
    return int(PARTS[part] * SHARE * machine_bytes())


def check_size(size: int, part: Part) -> None:
    """Check that a sandbox of this size can run here at all. Raises SandboxError."""
    if size > share_bytes(part):
        raise SandboxError(
            f"the limit of one sandbox ({readable_bytes(size)}) exceeds what all sandboxes of its kind may use on "
            f"this machine ({readable_bytes(share_bytes(part))}): use a machine with more memory, or lower "
            "sandbox.memory_gib"
        )


class Reservation(Closing):
    """The memory of one sandbox, for an owner: a context manager that holds nothing at its start and its end."""

    def __init__(self, owner: str, part: Part = "others") -> None:
        """`owner`: whose sandboxes are counted together; "" for none."""
        self._claim = Claim(owner, part)
        self._file: FileLock | None = None
        self._path: Path | None = None

    def take(self, size: int, seconds: float | None = None, stopped: threading.Event | None = None) -> None:
        """Hold `size` bytes in total, as soon as there is room. The bytes held already stay held meanwhile.

        Args:
            seconds: maximum time to wait; None: WAIT_SECONDS.
            stopped: ends the wait when it is set.

        Raises:
            CrowdedError: there was no room in that time.
            SandboxError: there can never be room, or the reservations cannot be written.
        """
        check_size(size, self._claim.part)
        seconds = WAIT_SECONDS if seconds is None else seconds
        deadline, since, pause = time.monotonic() + seconds, time.time(), POLL_SECONDS[0]
        claim = replace(self._claim, wanted=size - self._claim.held, since=since)
        # Whatever ends the wait, no other claim may queue behind this one.
        with undone_on_error(partial(self._set, self._claim)):
            while not self._granted(replace(claim, asked=time.time())):
                if time.monotonic() > deadline or (stopped and stopped.is_set()):
                    raise CrowdedError(
                        f"{readable_bytes(size)} of memory for a sandbox did not become free within {seconds:.0f} s: "
                        "other sandboxes use all that the machine has for them. Try again later"
                    )
                time.sleep(pause)
                pause = min(1.2 * pause, POLL_SECONDS[1])

    def keep(self, size: int) -> None:
        """Reduce the reservation to at most `size` bytes."""
        with _locked() as folder:
            self._write(folder, replace(self._claim, held=min(size, self._claim.held)))

    def close(self) -> None:
        """Release the whole reservation."""
        if self._file is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
        self._claim = replace(self._claim, held=0)

    def _granted(self, claim: Claim) -> bool:
        with _locked() as folder:
            self._write(folder, claim, remember=False)
            others = [other for path, other in _claims(folder) if path != self._path and other.part == claim.part]
            if not _fits(claim, others):
                return False
            self._write(folder, replace(claim, held=claim.held + claim.wanted, wanted=0))
            return True

    def _set(self, claim: Claim) -> None:
        with _locked() as folder:
            self._write(folder, claim)

    def _write(self, folder: Path, claim: Claim, *, remember: bool = True) -> None:
        if self._file is None:
            self._path = folder / f"{os.getpid()}-{time.monotonic_ns()}"
            self._file = FileLock(self._path, flags=os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.ftruncate(self._file.descriptor, 0)
        os.pwrite(self._file.descriptor, json.dumps(asdict(claim)).encode(), 0)
        if remember:
            self._claim = claim


def _fits(claim: Claim, others: list[Claim]) -> bool:
    """True if there is room for a claim next to the others of its part, and none before it in the queue may have it."""
    share = share_bytes(claim.part)
    held_by: dict[str, int] = {}
    for each in (*others, claim):
        held_by[each.owner] = held_by.get(each.owner, 0) + each.held

    def within_owner_share(each: Claim) -> bool:
        held = held_by[each.owner]
        is_first = held == each.held  # an owner's only sandbox may exceed the owner's share
        return each.owner == "" or is_first or held + each.wanted <= OWNER_SHARE * share

    def rank(each: Claim) -> tuple[int, float]:
        is_patient = time.time() - each.since < PATIENCE_SECONDS
        return (held_by[each.owner] // STEP_BYTES if is_patient else 0, each.since)

    if claim.wanted <= 0:
        return True
    if sum(held_by.values()) + claim.wanted > share or not within_owner_share(claim):
        return False
    waiting = [other for other in others if other.wanted and time.time() - other.asked < SILENT_SECONDS]
    return not any(within_owner_share(other) and rank(other) < rank(claim) for other in waiting)


def current_claims() -> list[Claim]:
    """Return the claims of this user's sandboxes on this machine. Raises SandboxError if they cannot be read."""
    with _locked() as folder:
        return [claim for _, claim in _claims(folder)]


def _claims(folder: Path) -> Iterator[tuple[Path, Claim]]:
    """Yield the claims of living processes; remove the files of dead ones."""
    for path in folder.iterdir():
        if path.name == "lock":
            continue
        with suppress(FileNotFoundError):  # released at this moment, which needs no lock on the folder
            try:
                with FileLock(path, flags=os.O_RDWR):
                    path.unlink()
            except BlockingIOError:
                yield path, _claim(path.read_bytes())


def _claim(text: bytes) -> Claim:
    """Parse a claim, which another version of aar on this machine may have written; empty text is an empty claim."""
    names = {field.name for field in fields(Claim)}
    stored: dict[str, Any] = json.loads(text or b"{}")
    return Claim(**({"owner": ""} | {name: value for name, value in stored.items() if name in names}))


@contextmanager
def _locked() -> Iterator[Path]:
    """Lock the folder of reservations for the length of a block."""
    folder = reservations_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise SandboxError(
                f"{folder} is not this user's own folder. Remove it; aar creates it again for reservations of memory."
            )
        with FileLock(folder / "lock", seconds=None):
            yield folder
    except OSError as error:
        raise SandboxError(
            f"{folder}: {error.strerror}. aar stores reservations of memory there; make it writable."
        ) from None


def reservations_folder() -> Path:
    """Return where this user's reservations are stored."""
    return Path("/run/aar/memory") if os.geteuid() == 0 else Path(f"/tmp/aar-memory-{os.geteuid()}")
