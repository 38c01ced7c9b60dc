"""What a researcher is shown read-only, as plain files: the forum, snapshots, long outputs, and how the lab works.

The folder appears in its sandbox as /shared. Only the platform writes here, so that no link can be planted in it.
"""

import threading
from collections.abc import Mapping
from pathlib import Path

from aar.commons.files import check_files
from aar.database import storage_errors

SHOWN_AS = "/shared"
FILE_TOOL = "lab/files.py"
"""The program behind the tool `files`."""


class Shared:
    """One researcher's shared folder, for any thread. Raises StorageError when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._turn = folder, threading.Lock()
        with storage_errors(folder):
            self._make(folder)

    def write(self, name: str, content: bytes) -> str:
        """Put a file there whole, in place of an older one; returns its path as the researcher sees it.

        Raises ValueError when the name would leave the folder.
        """
        path = self.folder / name
        if ".." in path.parts or not path.is_relative_to(self.folder):
            raise ValueError(f"{name!r} leads out of {SHOWN_AS}")
        with self._turn, storage_errors(path):
            self._make(path.parent)
            staged = path.with_name(path.name + ".part")
            staged.write_bytes(content)
            staged.chmod(0o644)
            staged.replace(path)
        return f"{SHOWN_AS}/{name}"

    def write_all(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Put files of a snapshot below a folder; returns that as the researcher sees it.

        Raises CodeStoreError when a name would leave the folder.
        """
        check_files(files)
        for name, content in files.items():
            self.write(f"{folder}/{name}", content)
        return f"{SHOWN_AS}/{folder}"

    def has(self, name: str) -> bool:
        """Is there such a file or folder?"""
        return (self.folder / name).exists()

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        while folder != self.folder.parent:
            folder.chmod(0o755)
            folder = folder.parent
