"""What an aar that was killed has left of its sandboxes: folders in /tmp and empty control groups.

Their names hold the number of the process that made them, so that they can be told from those in use.
"""

import functools
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FOLDERS = Path("/tmp")  # whatever TMPDIR says: sandboxes' users must reach it, and a socket's path must be short
_MADE_BY = re.compile(r"^aar-(?:sandbox-)?(\d+)-")


def folder_prefix() -> str:
    """How the name of this process's sandboxes' folders begins."""
    return f"aar-sandbox-{os.getpid()}-"


def group_prefix() -> str:
    """How the name of this process's control groups begins."""
    return f"aar-{os.getpid()}-"


@functools.cache
def remove_left_folders(parent: Path = FOLDERS) -> None:
    """Remove folders of processes that are gone; once in the life of this one."""
    for folder in _left(parent.glob("aar-sandbox-*")):
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def remove_left_groups(parent: Path) -> None:
    """The same for control groups below `parent`."""
    for folder in _left(parent.glob("aar-*")):
        with suppress(OSError):  # the kernel keeps a group that has processes
            folder.rmdir()


def _left(found: Iterable[Path]) -> list[Path]:
    made_by = [(path, _MADE_BY.match(path.name)) for path in found]
    return [path for path, maker in made_by if maker and not Path("/proc", maker[1]).exists()]
