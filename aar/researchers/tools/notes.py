"""A researcher's notes: files that survive the end of a conversation, of a process and of a machine.

The memory tool of the `anthropic` package stores them, in a folder that no sandbox sees. The package looks a path up on
the host before it checks where the path leads. So a path that is not plainly below /memories never reaches the package.
"""

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anthropic.tools import BetaLocalFilesystemMemoryTool
from anthropic.tools import ToolError as MemoryRefusal
from pydantic import Field

from aar.budget import Account
from aar.errors import ToolError
from aar.researchers.tools.tool import Arguments, Call, Tool
from aar.storage import storage_errors

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext

MOST_BYTES = 2**20
MOST_ENTRIES = 500
"""Maximum number of files and folders."""
PATH_CHARACTERS = 200
ROOT = "/memories"
_GROWS = ("create", "insert", "str_replace", "rename")


class NotesArguments(Arguments):
    """A command for the notes."""

    command: Literal["view", "create", "str_replace", "insert", "delete", "rename"]
    path: str | None = Field(
        default=None, description="A path below /memories. Required by every command except rename."
    )
    view_range: list[int] | None = Field(default=None, description="view: the first and last line to show.")
    file_text: str | None = Field(default=None, description="create: the entire content.")
    old_str: str | None = Field(default=None, description="str_replace: text that occurs exactly once.")
    new_str: str | None = Field(default=None, description="str_replace: the replacement.")
    insert_line: int | None = Field(default=None, description="insert: the line to insert after; 0 is the start.")
    insert_text: str | None = Field(default=None, description="insert: the new lines.")
    old_path: str | None = Field(default=None, description="rename: the old path.")
    new_path: str | None = Field(default=None, description="rename: the new path.")


class Notes:
    """The notes in one folder, which count towards a researcher's storage account."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._account = account
        with storage_errors(folder):
            self._memory = BetaLocalFilesystemMemoryTool(str(folder))

    def run(self, command: dict[str, Any]) -> str:
        """Run a command of the memory tool.

        Raises:
            ToolError: it cannot be carried out.
            QuotaError: the researcher's storage is full.
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
        size = sum(entry.st_size for entry in entries if stat.S_ISREG(entry.st_mode))
        size += sum(len(str(value).encode(errors="replace")) for value in command.values())
        new = command["command"] in ("create", "rename")
        count = len(entries) + sum(path.removeprefix(ROOT).count("/") for path in paths if new)
        if size > MOST_BYTES or count > MOST_ENTRIES:
            raise ToolError(
                f"your notes are full: with this change, {size} of {MOST_BYTES} bytes and {count} of {MOST_ENTRIES} "
                "files and folders; delete or shorten some notes first"
            )
        self._account.hold("notes", "all", size, count)

    def all(self) -> dict[str, str]:
        """Return every note by its path, for a conversation that is restarted."""
        root = self._memory.memory_root
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {f"{ROOT}/{path.relative_to(root)}": path.read_text(errors="replace") for path in files}


def _paths(command: dict[str, Any]) -> list[str]:
    return [command[name] for name in ("path", "old_path", "new_path") if name in command]


def _check(path: str) -> None:
    """Raise ToolError unless the text of a path alone shows that it is below /memories."""
    if len(path) > PATH_CHARACTERS:
        raise ToolError(f"the path of a note may have at most {PATH_CHARACTERS} characters; use a shorter one")
    if not f"{path}/".startswith(f"{ROOT}/") or ".." in path.split("/") or "\0" in path:
        raise ToolError(f'a note needs a plain path below {ROOT}, such as {ROOT}/progress.md, without ".."')


def _notes(context: "ToolContext", call: Call) -> str:
    arguments: NotesArguments = call.arguments
    return context.notes.run(arguments.model_dump(exclude_none=True))


LAB_NOTES = Tool(
    name="lab_notes",
    description=(
        "Read and edit your own notes, which are files below /memories. They survive every restart. Your conversation "
        "may be summarised or restarted at any time; after a restart you are shown your notes. Record what you would "
        "need to continue: what you tried, the outcomes, your conclusions, the next steps. `view /memories` lists them."
    ),
    arguments=NotesArguments,
    run=_notes,
    idempotent=False,
)
