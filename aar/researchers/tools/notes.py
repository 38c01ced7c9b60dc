"""A researcher's notes: files that survive the end of a conversation, of a process and of a machine.

They are kept by the memory tool of the `anthropic` package, in a folder that no sandbox sees. The package looks a path
up on the host before it decides where it leads; so what is no plain path below /memories never reaches it.
"""

import stat
from pathlib import Path
from typing import Any

from anthropic.tools import BetaLocalFilesystemMemoryTool
from anthropic.tools import ToolError as MemoryRefusal

from aar.budget import Account
from aar.errors import ToolError
from aar.storage import storage_errors

MOST_BYTES = 2**20
MOST_ENTRIES = 500
"""Files and folders."""
PATH_CHARACTERS = 200
ROOT = "/memories"
_GROWS = ("create", "insert", "str_replace", "rename")


class Notes:
    """The notes in one folder, held in a researcher's account."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._account = account
        with storage_errors(folder):
            self._memory = BetaLocalFilesystemMemoryTool(str(folder))

    def run(self, command: dict[str, Any]) -> str:
        """Run a command of the memory tool.

        Raises:
            ToolError: it cannot be carried out.
            QuotaError: what is kept for the researcher is full.
        """
        for path in _paths(command):
            _check(path)
        if command["command"] in _GROWS:
            self._make_room(command)
        try:
            return str(self._memory.call(command))
        except MemoryRefusal as error:
            raise ToolError(str(error)) from None
        except (OSError, UnicodeError) as error:
            raise ToolError(f"could not update the notes: {error}") from None

    def _make_room(self, command: dict[str, Any]) -> None:
        paths = [path for path in (command.get("path"), command.get("new_path")) if path]
        entries = [path.lstat() for path in self._memory.memory_root.rglob("*")]
        size = sum(one.st_size for one in entries if stat.S_ISREG(one.st_mode))
        size += sum(len(str(value).encode(errors="replace")) for value in command.values())
        new = command["command"] in ("create", "rename")
        count = len(entries) + sum(path.removeprefix(ROOT).count("/") for path in paths if new)
        if size > MOST_BYTES or count > MOST_ENTRIES:
            raise ToolError(
                f"your notes are full ({size} bytes of {MOST_BYTES} and {count} files and folders of {MOST_ENTRIES}, "
                "this one included); delete or shorten some first"
            )
        self._account.hold("notes", "all", size, count)

    def all(self) -> dict[str, str]:
        """Every note by its path, for a conversation that is restarted."""
        root = self._memory.memory_root
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {f"{ROOT}/{path.relative_to(root)}": path.read_text(errors="replace") for path in files}


def _paths(command: dict[str, Any]) -> list[str]:
    return [command[name] for name in ("path", "old_path", "new_path") if name in command]


def _check(path: str) -> None:
    """Raises ToolError when the text of a path does not say by itself that it lies below /memories."""
    if len(path) > PATH_CHARACTERS:
        raise ToolError(f"a note's path has at most {PATH_CHARACTERS} characters; give it a shorter one")
    if not f"{path}/".startswith(f"{ROOT}/") or ".." in path.split("/") or "\0" in path:
        raise ToolError(f'a note has a plain path below {ROOT}, such as {ROOT}/progress.md, without ".."')
