"""What the platform keeps for each researcher: one account of bytes and entries, in a database that outlives processes.

Whoever is to keep something for a researcher asks here before it is written, under a name for the thing: the same name
again replaces what was held under it, so that what is written again after a crash is counted once. Each kind of thing
has its share of the researcher's total and a number of entries. The shares add up to more than the total on purpose.

Covers: posts, votes, snapshots, transcripts, notes, long outputs, checked-out snapshots, and results of the compute
workers and texts for them, of every author but the platform; several processes at once.
Does not cover: workspaces, which have their sandbox's limit; the size of one thing, which whoever accepts it bounds
first; results that are being computed while the account fills up, which are kept; what is on its way between processes.
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
"""results: students, predictions, hidden states, and texts that requests name. shared: what a researcher is shown as
files of its own.
"""
SHARES: dict[Kind, float] = {
    "results": 1, "snapshots": 1 / 16, "forum": 1 / 128, "transcript": 1 / 16, "shared": 1 / 16, "notes": 1 / 1024,
}  # fmt: skip
"""Of the total in bytes. By default 16 GiB, 1 GiB of it for a transcript and 128 MiB for the forum."""
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
_ADVICE = "Write less, or ask the people who run the campaign to raise budget.researcher.storage_mib"


@dataclass(frozen=True)
class Held:
    """What is kept, in bytes and in entries."""

    bytes: int = 0
    entries: int = 0


class StorageQuota:
    """The accounts of the campaign in `folder`, for any thread. Raises StorageError: its database cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._db = Connections(folder / FILE, _SCHEMA)

    def allow(self, researcher: str, total: int) -> None:
        """From now on at most so many bytes may be kept for a researcher; without it, the default of the settings."""
        with transaction(self._db.get()) as db:
            db.execute("INSERT OR REPLACE INTO totals VALUES (?, ?)", (researcher, total))

    def hold(self, researcher: str, kind: Kind, name: str, size: int, entries: int = 1) -> None:
        """Count a thing of `size` bytes that is about to be kept, in place of what was held under its name.

        Raises:
            QuotaError: the account would be exceeded; it stays as it is. What shrinks is never refused.
        """
        self._set(researcher, kind, name, Held(size, entries), checked=True)

    def note(self, researcher: str, kind: Kind, name: str, size: int) -> None:
        """As `hold`, for what is kept whatever the account says."""
        self._set(researcher, kind, name, Held(size, 1))

    @contextmanager
    def held_for(self, researcher: str, kind: Kind, name: str, size: int) -> Iterator[None]:
        """As `hold`; when the block raises, so that the thing was not kept, what was held before is held again."""
        before = self._set(researcher, kind, name, Held(size, 1), checked=True)
        with undone_on_error(partial(self._set, researcher, kind, name, before)):
            yield

    def check(self, researcher: str, kind: Kind) -> None:
        """Raises QuotaError when nothing more of this kind may be kept for a researcher."""
        if researcher not in RESERVED_NAMES:
            self._check(researcher, kind, beyond=1)

    def held(self, researcher: str) -> dict[Kind, Held]:
        """What is kept for a researcher, by kind."""
        rows = select(self._db.get(), "SELECT kind, bytes, entries FROM sums WHERE researcher = ?", researcher)
        found = {row["kind"]: Held(row["bytes"], row["entries"]) for row in rows}
        return {kind: found.get(kind, Held()) for kind in get_args(Kind)}

    def total(self, researcher: str) -> int:
        """How many bytes may be kept for a researcher."""
        rows = select(self._db.get(), "SELECT bytes FROM totals WHERE researcher = ?", researcher)
        return int(rows[0]["bytes"]) if rows else ResearcherBudget().storage_mib * MIB

    def _set(self, researcher: str, kind: Kind, name: str, now: Held, *, checked: bool = False) -> Held:
        """Replace what is held under a name; returns what it was. Raises as `hold` when it is to be `checked`."""
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
        own, everything, most = held[kind], sum(one.bytes for one in held.values()), int(total * SHARES[kind])
        over = {
            f"{kind}: {_mib(own.bytes)} of {_mib(most)}": own.bytes + beyond > most,
            f"{kind}: {own.entries} of {ENTRIES[kind]} entries": own.entries + beyond > ENTRIES[kind],
            f"in all: {_mib(everything)} of {_mib(total)}": everything + beyond > total,
        }
        for words, is_over in over.items():
            if is_over:
                raise QuotaError(f"not kept: what the platform keeps for {researcher} is full ({words}). {_ADVICE}")


class Account:
    """One researcher's account."""

    def __init__(self, storage: StorageQuota, researcher: str) -> None:
        self._storage, self._researcher = storage, researcher

    def hold(self, kind: Kind, name: str, size: int, entries: int = 1) -> None:
        """As `StorageQuota.hold`."""
        self._storage.hold(self._researcher, kind, name, size, entries)

    def describe(self) -> str:
        """For example "1.5 MiB of 16384.0 MiB kept for ada"."""
        used = sum(one.bytes for one in self._storage.held(self._researcher).values())
        return f"{_mib(used)} of {_mib(self._storage.total(self._researcher))} kept for {self._researcher}"


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
