"""What an agent has filled is removed, whoever runs aar."""

import os
from collections.abc import Callable
from pathlib import Path

from aar.sandbox.linux.identity import remove

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
