"""Which files of a workspace are meant when a researcher names files and folders."""

from pathlib import Path

from aar.errors import ToolError
from aar.untrusted_files import FILE_BYTES, is_folder, read_file, read_workspace

WORKSPACE = "/work/"


def read_method(workspace: Path, name: str) -> bytes:
    """Read one file. Raises UntrustedFileError unless it is a plain file of the workspace."""
    return read_file(workspace, _relative(name), FILE_BYTES)


def read_files(workspace: Path, names: list[str]) -> dict[str, bytes]:
    """Files by name; a folder stands for every file in it.

    Raises:
        UntrustedFileError: one is not a plain file of the workspace, or a folder has files that no snapshot may have.
        ToolError: a folder holds no file.
    """
    files: dict[str, bytes] = {}
    for name in map(_relative, names):
        if name in ("", ".") or is_folder(workspace, name):
            files |= _files_below(workspace, name)
        else:
            files[name] = read_file(workspace, name, FILE_BYTES)
    return files


def _files_below(workspace: Path, folder: str) -> dict[str, bytes]:
    inside = "" if folder in ("", ".") else f"{folder}/"
    found = {name: content for name, content in read_workspace(workspace).items() if name.startswith(inside)}
    if not found:
        raise ToolError(f"the folder {folder or '.'} of the workspace has no files")
    return found


def _relative(name: str) -> str:
    return name.removeprefix(WORKSPACE).removeprefix("./").rstrip("/")
