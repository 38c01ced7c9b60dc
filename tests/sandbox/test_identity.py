"""User ids and workspaces belong to one sandbox at a time; folders that an agent or a killed aar left are removed."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aar.errors import SandboxError
from aar.sandbox.linux import identity
from aar.sandbox.linux.identity import (
    group_prefix,
    held_workspace,
    leased_uid,
    remove,
    remove_stale_folders,
    remove_stale_groups,
    sandbox_folder_prefix,
)

LOCKED = """
import os, tempfile
from pathlib import Path
from aar.sandbox.linux.identity import remove
folder = Path(tempfile.mkdtemp(dir="/tmp"))
(folder / "locked" / "inner").mkdir(parents=True)
(folder / "locked" / "file").touch()
(folder / "locked").chmod(0)
remove(folder)
print(os.geteuid() != 0, folder.exists())
"""


def test_an_ordinary_user_removes_locked_folders(as_ordinary_user: Callable[[str], str]) -> None:
    assert as_ordinary_user(LOCKED).split() == ["True", "False"]


def test_a_folder_of_any_depth_is_removed(tmp_path: Path) -> None:
    (tmp_path / "filled").mkdir()
    place = os.open(tmp_path / "filled", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=place)
        place, outer = os.open("d", os.O_RDONLY, dir_fd=place), place
        os.close(outer)
    os.close(place)
    remove(tmp_path / "filled")
    assert not (tmp_path / "filled").exists()


def ended_process() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_folders_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    gone, used, foreign = (
        f"aar-sandbox-{ended_process()}-x",
        f"{sandbox_folder_prefix()}x",
        "aar-sandbox-of-another-kind",
    )
    for name in (gone, used, foreign):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    remove_stale_folders(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([used, foreign])


def test_empty_control_groups_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    gone, busy = f"aar-{ended_process()}-0", f"aar-{ended_process()}-1"
    for name in (gone, busy, f"{group_prefix()}0"):
        (tmp_path / name).mkdir()
    (tmp_path / busy / "represents a process").touch()
    remove_stale_groups(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([busy, f"{group_prefix()}0"])


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's sandboxes keep that user's uid")


@pytest.fixture
def leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A range of two user ids of the test's own, beyond those of sandboxes that run on this machine meanwhile."""
    monkeypatch.setattr(identity, "LEASES", tmp_path / "uids")
    monkeypatch.setattr(identity, "PREFERRED_FIRST", identity.PREFERRED_FIRST + identity.COUNT)
    monkeypatch.setattr(identity, "COUNT", 2)
    return tmp_path / "uids"


@as_root
def test_two_sandboxes_never_have_the_same_uid_and_none_has_roots(leases: Path) -> None:
    with leased_uid() as first, leased_uid() as second:
        assert first != second and 0 not in (first, second)
    with leased_uid() as again:
        assert again == first


@as_root
def test_when_all_uids_are_in_use_the_error_says_what_to_wait_for(leases: Path) -> None:
    complaint = r"all 2 user ids .* wait for running experiments to end"
    with leased_uid(), leased_uid(), pytest.raises(SandboxError, match=complaint), leased_uid():
        pass
    with leased_uid():
        pass


@as_root
def test_a_folder_of_leases_that_cannot_be_made_is_named(leases: Path) -> None:
    leases.write_text("a file")
    with pytest.raises(SandboxError, match=r"uids: File exists\. As root, aar leases user ids"), leased_uid():
        pass


@as_root
def test_processes_that_an_earlier_sandbox_left_are_killed_before_their_uid_is_used_again(leases: Path) -> None:
    with leased_uid() as uid:
        orphan = subprocess.Popen(["setpriv", "--reuid", str(uid), "--clear-groups", "sleep", "60"])
        while Path(f"/proc/{orphan.pid}").stat().st_uid != uid:
            time.sleep(0.01)
    with leased_uid() as again:
        assert again == uid
        assert orphan.wait(10) == -9


def test_a_workspace_belongs_to_one_sandbox_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "WAIT_SECONDS", 0.1)
    complaint, uid = "another sandbox uses this workspace; end it first", os.geteuid()
    with held_workspace(tmp_path, uid), pytest.raises(SandboxError, match=complaint), held_workspace(tmp_path, uid):
        pass
    with held_workspace(tmp_path, os.geteuid()):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["missing", "file", "link"])
def test_a_workspace_that_is_not_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with pytest.raises(SandboxError, match=f"{name}: cannot be a workspace"), held_workspace(tmp_path / name, 12345):
        pass
    assert (tmp_path / "folder").stat().st_uid == os.geteuid()


@as_root
def test_everything_in_a_workspace_belongs_to_its_sandbox_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    work = tmp_path / "work"
    (work / "inner").mkdir(parents=True)
    (work / "inner" / "file").touch()
    (work / "link").symlink_to(tmp_path / "outside")
    with held_workspace(work, 12345):
        owners = {path.lstat().st_uid for path in (work, *work.rglob("*"))}
    assert owners == {12345}
    assert (tmp_path / "outside").stat().st_uid == 0
