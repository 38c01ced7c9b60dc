"""Folders that an agent has filled are removed whoever runs aar, and so is what a killed aar has left."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from aar.sandbox.linux.identity import (
    group_prefix,
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
