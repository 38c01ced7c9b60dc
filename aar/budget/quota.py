"""Storage quotas: each researcher has one account of bytes and entries, in a database that outlives processes.

Code that stores something for a researcher reserves space here before it writes, under a name for the thing. The same
name again replaces the earlier reservation, so something written again after a crash is counted once. Each kind of
thing has its share of the researcher's total and a maximum number of entries. The shares deliberately add up to more
than the total.

Covers: posts, votes, snapshots, transcripts, notes, long outputs, checked-out snapshots, and results of the compute
workers and texts for them, of every author except the platform; several processes at once.
Does not cover: workspaces, which have their sandbox's limit; the size of a single thing, which its recipient checks
first; results that are being computed while the account fills up, which are stored; data in transit between processes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from aar.config import RESERVED_NAMES, ResearcherBudget
from aar.errors import QuotaError, undone_on_error
from aar.storage import Connections, select, transaction

FILE = "storage.sqlite"
MIB = 2**20
Kind = Literal["results", "snapshots", "forum", "transcript", "shared", "notes"]
"""results: students, predictions, hidden states, and texts that requests name. shared: files that the platform puts
into a researcher's shared folder.
"""
SHARES: dict[Kind, float] = {
    "results": 1, "snapshots": 1 / 16, "forum": 1 / 128, "transcript": 1 / 16, "shared": 1 / 16, "notes": 1 / 1024,
}  # fmt: skip
"""Shares of the total in bytes. That is 16 GiB by default, with 1 GiB of it for a transcript, 128 MiB for the forum."""
ENTRIES: dict[Kind, int] = {
    "results": 200_000, "snapshots": 20_000, "forum": 50_000, "transcript": 1_000_000, "shared": 100_000, "notes": 1000,
}  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    researcher TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, entries INTEGER NOT NULL,
    PRIMARY KEY (researcher, kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sums (
    researcher TEXT NOT NULL, kind TEXT NOT NULL, bytes INTEGER NOT NULL, entries INTEGER NOT NULL,
    PRIMARY KEY (researcher, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (researcher TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;
"""
_ADVICE = "Write less, or ask the operators of the campaign to raise budget.researcher.storage_mib"


@dataclass(frozen=True)
class Held:
    """Stored bytes and entries."""

    bytes: int = 0
    entries: int = 0


class StorageQuota:
    """The accounts of the campaign in `folder`, for any thread. Raises StorageError if its database cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._db = Connections(folder / FILE, _SCHEMA)

    def allow(self, researcher: str, total: int) -> None:
        """Set the total of a researcher in bytes; without this call, it is the default of the settings."""
        with transaction(self._db.get()) as db:
            db.execute("INSERT OR REPLACE INTO totals VALUES (?, ?)", (researcher, total))

    def hold(self, researcher: str, kind: Kind, name: str, size: int, entries: int = 1) -> None:
        """Reserve `size` bytes for a thing, in place of the earlier reservation under its name.

        Raises:
            QuotaError: the account would be exceeded; it stays unchanged. A smaller reservation is never refused.
        """
        self._set(researcher, kind, name, Held(size, entries), checked=True)

    def note(self, researcher: str, kind: Kind, name: str, size: int) -> None:
        """Reserve as `hold`, but never refuse: for things that are stored in any case."""
        self._set(researcher, kind, name, Held(size, 1))

    @contextmanager
    def held_for(self, researcher: str, kind: Kind, name: str, size: int) -> Iterator[None]:
        """Reserve as `hold`; if the block raises, so that the thing is not stored, restore the earlier reservation."""
        before = self._set(researcher, kind, name, Held(size, 1), checked=True)
        with undone_on_error(partial(self._set, researcher, kind, name, before)):
            yield

    def check(self, researcher: str, kind: Kind) -> None:
        """Raise QuotaError when nothing more of this kind may be stored for a researcher."""
        if researcher not in RESERVED_NAMES:
            self._check(researcher, kind, beyond=1)

    def held(self, researcher: str) -> dict[Kind, Held]:
        """Return what is stored for a researcher, by kind."""
        rows = select(self._db.get(), "SELECT kind, bytes, entries FROM sums WHERE researcher = ?", researcher)
        stored = {row["kind"]: Held(row["bytes"], row["entries"]) for row in rows}
        return {kind: stored.get(kind, Held()) for kind in get_args(Kind)}

    def total(self, researcher: str) -> int:
        """Return how many bytes may be stored for a researcher."""
        rows = select(self._db.get(), "SELECT bytes FROM totals WHERE researcher = ?", researcher)
        return int(rows[0]["bytes"]) if rows else ResearcherBudget().storage_mib * MIB

    def _set(self, researcher: str, kind: Kind, name: str, now: Held, *, checked: bool = False) -> Held:
        """Replace the reservation under a name; return the earlier one. With `checked`, raises as `hold`."""
        if researcher in RESERVED_NAMES:
            return Held()
        place = (researcher, kind, name)
        sql = "SELECT bytes, entries FROM held WHERE researcher = ? AND kind = ? AND name = ?"
        if [now] == [Held(*row) for row in select(self._db.get(), sql, *place)]:
            return now
        with transaction(self._db.get()) as db:
            sql = "DELETE FROM held WHERE researcher = ? AND kind = ? AND name = ? RETURNING bytes, entries"
            rows = db.execute(sql, place).fetchall()
            before = Held(*rows[0]) if rows else Held()
            if now != Held():
                db.execute("INSERT INTO held VALUES (?, ?, ?, ?, ?)", (*place, now.bytes, now.entries))
            db.execute(
                "INSERT INTO sums VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET bytes = bytes + excluded.bytes, entries = entries + excluded.entries",
                (researcher, kind, now.bytes - before.bytes, now.entries - before.entries),
            )
            if checked and (now.bytes > before.bytes or now.entries > before.entries):
                self._check(researcher, kind)
        return before

    def _check(self, researcher: str, kind: Kind, beyond: int = 0) -> None:
        held, total = self.held(researcher), self.total(researcher)
        used, used_in_all, share = (
            held[kind],
            sum(of_kind.bytes for of_kind in held.values()),
            int(total * SHARES[kind]),
        )
        limits = {
            f"{kind}: {_mib(used.bytes)} of {_mib(share)}": used.bytes + beyond > share,
            f"{kind}: {used.entries} of {ENTRIES[kind]} entries": used.entries + beyond > ENTRIES[kind],
            f"in all: {_mib(used_in_all)} of {_mib(total)}": used_in_all + beyond > total,
        }
        for limit, is_exceeded in limits.items():
            if is_exceeded:
                raise QuotaError(f"not stored: the storage for {researcher} is full ({limit}). {_ADVICE}")


class Account:
    """One researcher's account."""

    def __init__(self, storage: StorageQuota, researcher: str) -> None:
        self._storage, self._researcher = storage, researcher

    def hold(self, kind: Kind, name: str, size: int, entries: int = 1) -> None:
        """As `StorageQuota.hold`."""
        self._storage.hold(self._researcher, kind, name, size, entries)

    def describe(self) -> str:
        """Return a text such as "storage: 1.5 MiB of 16384.0 MiB used by ada"."""
        used = sum(of_kind.bytes for of_kind in self._storage.held(self._researcher).values())
        return f"storage: {_mib(used)} of {_mib(self._storage.total(self._researcher))} used by {self._researcher}"


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
