"""Reading files that an agent wrote, from outside its sandbox.

Covers: links, planted or swapped in while reading, lead nowhere, because every part of a path is opened without
following links; pipes and devices are not read; sizes are bounded. Does not cover: what the files say.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from aar.commons.files import FILE_BYTES, FILES
from aar.errors import ToolError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
LEFT_OUT = ("__pycache__", ".git")


def read_file(workspace: Path, name: str) -> bytes:
    """The content of a file of a workspace. Raises ToolError when it is no ordinary file there, or too large."""
    *folders, file = _parts(name)
    try:
        with _opened(workspace, folders) as folder:
            return _content(folder, file, name)
    except OSError as error:
        raise ToolError(f"{name} cannot be read in the workspace ({error.strerror}); links are not followed") from None


def read_files(workspace: Path, names: list[str]) -> dict[str, bytes]:
    """Files of a workspace by name; a folder stands for every file in it. Raises ToolError as `read_file`."""
    files: dict[str, bytes] = {}
    for name in names:
        for file in _files_of(workspace, name):
            files[file] = read_file(workspace, file)
            if len(files) > FILES:
                raise ToolError(f"that is more than {FILES} files; name the ones that matter")
    return files


def _parts(name: str) -> list[str]:
    path = PurePosixPath(name.removeprefix("/work/"))
    parts = [part for part in path.parts if part != "."]
    if not parts or path.is_absolute() or ".." in parts or "\0" in name:
        raise ToolError(f'"{name}" is no file of the workspace; name it relative to /work')
    return parts


def _files_of(workspace: Path, name: str) -> list[str]:
    parts = [] if name.rstrip("/") in (".", "/work", "") else _parts(name)
    try:
        with _opened(workspace, parts) as folder:
            found = []
            for place, inner, files, _ in os.fwalk(".", dir_fd=folder):
                inner[:] = sorted(set(inner) - set(LEFT_OUT))
                found += [str(PurePosixPath(*parts, place, file)) for file in sorted(files)]
            return found
    except NotADirectoryError:
        return ["/".join(parts)]
    except OSError as error:
        raise ToolError(f"{name} cannot be read in the workspace ({error.strerror}); links are not followed") from None


@contextmanager
def _opened(workspace: Path, folders: list[str]) -> Iterator[int]:
    descriptor = os.open(workspace, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _content(folder: int, file: str, name: str) -> bytes:
    with open(os.open(file, _FILE, dir_fd=folder), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ToolError(f"{name} is no ordinary file")
        content = opened.read(FILE_BYTES + 1)
    if len(content) > FILE_BYTES:
        raise ToolError(f"{name} has more than {FILE_BYTES} bytes; a snapshot holds source, not data")
    return content
