"""What a researcher is shown read-only, as plain files: the forum, snapshots, long outputs, and how the lab works.

The folder appears in its sandbox as /shared. Only the platform writes here, so that no link can be planted in it.
"""

from collections.abc import Mapping
from pathlib import Path

from aar.commons.files import check_files
from aar.database import storage_errors

SHOWN_AS = "/shared"
FILE_TOOL = "lab/files.py"
"""The program behind the tool `files`."""


class Shared:
    """One researcher's shared folder. Raises StorageError when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._make(folder)

    def write(self, name: str, content: bytes) -> str:
        """Put a file there whole, in place of an older one; returns its path as the researcher sees it."""
        path = self.folder / name
        self._make(path.parent)
        with storage_errors(path):
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
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            while folder != self.folder.parent:
                folder.chmod(0o755)
                folder = folder.parent
