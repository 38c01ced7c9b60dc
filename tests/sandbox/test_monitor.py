"""Disk use of a workspace, counted while its owner may change it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aar.sandbox import Limits
from aar.sandbox.monitor import MAX_DEPTH, Disk, removed_bytes

MIB = 2**20
LIMITS = replace(Limits(), disk_bytes=4 * MIB, files=50)
HOLD = """
import os, sys
file = open(sys.argv[1], "wb")
file.write(bytes(5 * 2**20)); file.flush(); os.fsync(file.fileno())
os.unlink(sys.argv[1])
print("removed", flush=True)
sys.stdin.read()
"""


def deepen(folder: Path, levels: int) -> None:
    for _ in range(levels):
        folder = folder / "d"
        folder.mkdir()


def test_a_workspace_within_its_limits_exceeds_none(tmp_path: Path) -> None:
    disk = Disk(tmp_path, LIMITS)
    (tmp_path / "a").write_bytes(b"x" * MIB)
    deepen(tmp_path, 10)
    assert disk.excess([]) is None


def test_each_limit_that_is_exceeded_is_named(tmp_path: Path) -> None:
    workspaces = [tmp_path / name for name in ("bytes", "files", "depth")]
    for workspace in workspaces:
        workspace.mkdir()
    disks = [Disk(workspace, replace(LIMITS, files=200)) for workspace in workspaces]
    (workspaces[0] / "large").write_bytes(b"x" * 5 * MIB)
    for number in range(201):
        (workspaces[1] / str(number)).touch()
    deepen(workspaces[2], MAX_DEPTH + 2)
    assert [disk.excess([]) for disk in disks] == [
        "disk limit 4 MiB",
        "limit of 200 files",
        f"limit of {MAX_DEPTH} nested folders",
    ]


def test_a_sparse_file_counts_what_is_on_the_disk(tmp_path: Path) -> None:
    disk = Disk(tmp_path, LIMITS)
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 30)
    assert disk.excess([]) is None


def test_links_count_as_files_and_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(b"x" * 5 * MIB)
    (tmp_path / "work").mkdir()
    disk = Disk(tmp_path / "work", LIMITS)
    (tmp_path / "work" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "work" / "loop").symlink_to(tmp_path / "work")
    assert disk.excess([]) is None


def test_a_workspace_that_exceeds_a_limit_from_the_start_may_stay_but_not_grow(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / str(number)).touch()
    disk = Disk(tmp_path, LIMITS)
    assert disk.excess([]) is None
    (tmp_path / "more").touch()
    assert disk.excess([]) == "limit of 50 files"


def test_removed_files_count_as_long_as_a_process_has_them_open(tmp_path: Path) -> None:
    disk = Disk(tmp_path, LIMITS)
    command = [sys.executable, "-c", HOLD, tmp_path / "large"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"removed\n"
        assert os.listdir(tmp_path) == []
        assert removed_bytes([holder.pid, holder.pid], tmp_path) >= 5 * MIB
        assert disk.excess([]) is None
        assert disk.excess([holder.pid]) == "disk limit 4 MiB"
    assert disk.excess([holder.pid]) is None  # the process has ended


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_is_hidden_from_the_count_is_an_excess(tmp_path: Path) -> None:
    disk = Disk(tmp_path, LIMITS)
    (tmp_path / "hidden").mkdir(mode=0)
    assert disk.excess([]) == "limit of no unreadable folders"
    (tmp_path / "hidden").chmod(0o700)
