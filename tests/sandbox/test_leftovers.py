"""What a killed aar has left is removed; what a living one uses is not."""

import os
import subprocess
from pathlib import Path

from aar.sandbox.linux.identity import group_prefix, remove_stale_folders, remove_stale_groups, sandbox_folder_prefix


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


def test_so_are_empty_control_groups(tmp_path: Path) -> None:
    gone, busy = f"aar-{ended_process()}-0", f"aar-{ended_process()}-1"
    for name in (gone, busy, f"{group_prefix()}0"):
        (tmp_path / name).mkdir()
    (tmp_path / busy / "stands for a process").touch()
    remove_stale_groups(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([busy, f"{group_prefix()}0"])
