"""A researcher's notes: files that survive the end of a conversation, of a process and of a machine.

They are kept by the memory tool of the `anthropic` package, in a folder that no sandbox sees.
"""

from pathlib import Path
from typing import Any

from anthropic.tools import BetaLocalFilesystemMemoryTool
from anthropic.tools import ToolError as MemoryRefusal

from aar.database import storage_errors
from aar.errors import ToolError

MOST_BYTES = 2**20
ROOT = "/memories"


class Notes:
    """The notes in one folder."""

    def __init__(self, folder: Path) -> None:
        with storage_errors(folder):
            self._memory = BetaLocalFilesystemMemoryTool(str(folder))

    def run(self, command: dict[str, Any]) -> str:
        """Answer a command of the memory tool. Raises ToolError when it cannot be carried out."""
        if self._size() + sum(len(str(value)) for value in command.values()) > MOST_BYTES:
            raise ToolError(f"your notes are full ({MOST_BYTES} bytes); delete or shorten some first")
        try:
            return str(self._memory.call(command))
        except MemoryRefusal as error:
            raise ToolError(str(error)) from None
        except (OSError, UnicodeError) as error:
            raise ToolError(f"the notes could not be used so: {error}") from None

    def all(self) -> dict[str, str]:
        """Every note by its path, to be told when a conversation begins anew."""
        root = self._memory.memory_root
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {f"{ROOT}/{path.relative_to(root)}": path.read_text(errors="replace") for path in files}

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self._memory.memory_root.rglob("*") if path.is_file())
