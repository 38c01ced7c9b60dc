"""Storage quotas: things are counted before they are written, once each, and bounded."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aar.budget import Account, StorageQuota
from aar.budget.quota import ENTRIES, MIB, Held
from aar.config import PLATFORM, ResearcherBudget
from aar.errors import QuotaError

TOTAL = 16 * MIB


@pytest.fixture
def storage(tmp_path: Path) -> StorageQuota:
    storage = StorageQuota(tmp_path)
    storage.allow("ada", TOTAL)
    return storage


def test_a_thing_is_counted_once_however_often_it_is_written(storage: StorageQuota) -> None:
    for size in (100, 100, 300, 50):
        storage.hold("ada", "forum", "post/1", size)
    assert storage.held("ada")["forum"] == Held(50, 1)


def test_each_kind_has_its_share_and_says_what_is_used_and_what_to_do(storage: StorageQuota) -> None:
    storage.hold("ada", "transcript", "all", MIB)
    complaint = r"the storage for ada is full \(transcript: 1\.5 MiB of 1\.0 MiB\)\. Write less, or .*storage_mib"
    with pytest.raises(QuotaError, match=complaint):
        storage.hold("ada", "transcript", "all", MIB * 3 // 2)
    assert storage.held("ada")["transcript"] == Held(MIB, 1)
    storage.hold("ada", "snapshots", "s", MIB)
    storage.hold("bob", "transcript", "all", 900 * MIB)


def test_all_kinds_together_have_a_total(storage: StorageQuota) -> None:
    storage.hold("ada", "results", "r", TOTAL - MIB)
    storage.hold("ada", "snapshots", "s", MIB)
    with pytest.raises(QuotaError, match=r"in all: 16\.0 MiB of 16\.0 MiB"):
        storage.hold("ada", "forum", "post/1", 1)


def test_things_without_size_are_bounded_by_their_number(storage: StorageQuota) -> None:
    storage.hold("ada", "notes", "all", 0, ENTRIES["notes"])
    with pytest.raises(QuotaError, match="notes: 1001 of 1000 entries"):
        storage.hold("ada", "notes", "all", 0, ENTRIES["notes"] + 1)


def test_what_shrinks_is_never_refused(storage: StorageQuota) -> None:
    storage.hold("ada", "snapshots", "s", MIB)
    storage.allow("ada", MIB)
    storage.hold("ada", "snapshots", "s", MIB // 2)
    with pytest.raises(QuotaError):
        storage.hold("ada", "snapshots", "s", MIB)


def test_what_was_not_kept_after_all_is_not_counted_and_leaves_no_row(storage: StorageQuota, tmp_path: Path) -> None:
    for number in range(100):
        with pytest.raises(KeyError), storage.held_for("ada", "forum", f"post/{number}", 100):
            raise KeyError
    assert storage.held("ada")["forum"] == Held()
    database = sqlite3.connect(tmp_path / "storage.sqlite")
    assert database.execute("SELECT count(*) FROM held").fetchone() == (0,)


def test_results_are_noted_whatever_they_take_and_then_nothing_more_begins(storage: StorageQuota) -> None:
    storage.check("ada", "results")
    storage.note("ada", "results", "large", 2 * TOTAL)
    with pytest.raises(QuotaError, match=r"results: 32\.0 MiB of 16\.0 MiB"):
        storage.check("ada", "results")


def test_the_next_process_finds_what_was_counted(storage: StorageQuota, tmp_path: Path) -> None:
    storage.hold("ada", "forum", "post/1", 100)
    assert StorageQuota(tmp_path).held("ada")["forum"] == Held(100, 1)
    assert StorageQuota(tmp_path).total("ada") == TOTAL
    assert Account(StorageQuota(tmp_path), "ada").describe() == "storage: 0.0 MiB of 16.0 MiB used by ada"


def test_the_platform_has_no_account(storage: StorageQuota) -> None:
    storage.hold(PLATFORM, "forum", "post/1", 2**50)
    storage.check(PLATFORM, "results")
    assert storage.held(PLATFORM)["forum"] == Held()


def test_many_at_once_do_not_exceed_it_together(storage: StorageQuota) -> None:
    def hold(number: int) -> bool:
        try:
            storage.hold("ada", "snapshots", str(number), MIB // 4)
        except QuotaError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hold, range(40))) == 4
    assert storage.held("ada")["snapshots"] == Held(MIB, 4)


def test_honest_work_stays_far_below_the_default(tmp_path: Path) -> None:
    storage, total = StorageQuota(tmp_path), ResearcherBudget().storage_mib * MIB
    held = {
        "results": (400 * 3 * 2 * 4 * MIB, 400 * 3 * 10), "snapshots": (1000 * 20_000, 1000), "notes": (MIB, 100),
        "forum": (5000 * 5000, 20_000), "transcript": (100_000 * 5000, 100_000), "shared": (2000 * 200_000, 2000),
    }  # fmt: skip
    for kind, (size, entries) in held.items():
        storage.hold("ada", kind, "all", size, entries)  # type: ignore[arg-type]
    assert sum(one.bytes for one in storage.held("ada").values()) < total


def test_a_write_that_failed_leaves_the_earlier_reservation(storage: StorageQuota) -> None:
    storage.hold("ada", "snapshots", "s", 100)
    with pytest.raises(KeyError), storage.held_for("ada", "snapshots", "s", 300):
        assert storage.held("ada")["snapshots"] == Held(300, 1)
        raise KeyError
    assert storage.held("ada")["snapshots"] == Held(100, 1)
    with storage.held_for("ada", "snapshots", "s", 300):
        pass
    assert storage.held("ada")["snapshots"] == Held(300, 1)


def test_a_block_does_not_begin_when_its_reservation_is_refused(storage: StorageQuota) -> None:
    began = []
    with pytest.raises(QuotaError), storage.held_for("ada", "transcript", "all", 2 * MIB):
        began.append("the write")
    assert began == [] and storage.held("ada")["transcript"] == Held()


def test_nothing_more_of_a_kind_begins_once_its_entries_are_used_up(storage: StorageQuota) -> None:
    storage.hold("ada", "notes", "all", 0, ENTRIES["notes"] - 1)
    storage.check("ada", "notes")
    storage.hold("ada", "notes", "all", 0, ENTRIES["notes"])
    with pytest.raises(QuotaError, match="notes: 1000 of 1000 entries"):
        storage.check("ada", "notes")
    storage.check("ada", "forum")


def test_a_larger_total_takes_effect_at_once(storage: StorageQuota) -> None:
    with pytest.raises(QuotaError):
        storage.hold("ada", "snapshots", "s", 2 * MIB)
    storage.allow("ada", 2 * TOTAL)
    storage.hold("ada", "snapshots", "s", 2 * MIB)
    assert storage.held("ada")["snapshots"] == Held(2 * MIB, 1)


def test_a_thing_of_no_size_and_no_entries_is_forgotten(storage: StorageQuota, tmp_path: Path) -> None:
    storage.hold("ada", "shared", "s", 100)
    storage.hold("ada", "shared", "s", 0, entries=0)
    assert storage.held("ada")["shared"] == Held()
    database = sqlite3.connect(tmp_path / "storage.sqlite")
    assert database.execute("SELECT count(*) FROM held").fetchone() == (0,)


def test_one_researchers_account_does_not_limit_another(storage: StorageQuota) -> None:
    account = Account(storage, "ada")
    account.hold("snapshots", "s", MIB)
    with pytest.raises(QuotaError, match="for ada is full"):
        account.hold("snapshots", "t", MIB)
    storage.hold("ben", "snapshots", "s", 64 * MIB)
    assert storage.total("ben") == ResearcherBudget().storage_mib * MIB
