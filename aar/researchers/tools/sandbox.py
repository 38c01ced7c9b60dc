"""Tools in the researcher's sandbox: a shell and a file editor."""

import json
import secrets
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from aar.errors import ToolError
from aar.guest import file_editor
from aar.researchers.tools.tool import Arguments, Call, Tool
from aar.sandbox import PYTHON, ShellReply

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext

MOST_SECONDS = 600
EDIT_SECONDS = 20.0
_NEEDED = {"create": ("file_text",), "str_replace": ("old_str", "new_str"), "insert": ("insert_line", "insert_text")}


class BashArguments(Arguments):
    """A command for bash."""

    command: str = Field(description="The command for bash. It has no standard input.")
    seconds: float = Field(
        default=120, gt=0, le=MOST_SECONDS, description="The command is killed after this many seconds."
    )


class FilesArguments(Arguments):
    """A command for the editor."""

    command: Literal["view", "create", "str_replace", "insert"]
    path: str = Field(min_length=1, description="A file (for view: or a folder), absolute or relative to /work.")
    view_range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="view: the first and last line to show, counted from 1; -1 is the end."
    )
    file_text: str | None = Field(default=None, description="create: the entire content.")
    old_str: str | None = Field(default=None, min_length=1, description="str_replace: text that occurs exactly once.")
    new_str: str | None = Field(default=None, description="str_replace: the replacement.")
    insert_line: int | None = Field(default=None, ge=0, description="insert: the line to insert after; 0 is the start.")
    insert_text: str | None = Field(default=None, description="insert: the new lines.")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "FilesArguments":
        missing = [name for name in _NEEDED.get(self.command, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.command} needs {' and '.join(missing)}")
        return self


def _bash(context: "ToolContext", call: Call) -> str:
    arguments: BashArguments = call.arguments
    try:
        reply = context.run(arguments.command, arguments.seconds)
    except ValueError as error:
        raise ToolError(str(error)) from None
    return "\n".join([*([reply.output.rstrip("\n")] if reply.output.strip() else []), *_fate(reply)])


def _fate(reply: ShellReply) -> list[str]:
    if reply.killed:
        return [
            f"(killed, with all background processes: {reply.killed}; files are kept, variables and the current folder "
            "are not)"
        ]
    if reply.exit_code:
        return [f"(exit code {reply.exit_code})"]
    return [] if reply.output.strip() else ["(no output)"]


def _files(context: "ToolContext", call: Call) -> str:
    arguments: FilesArguments = call.arguments
    path = arguments.path if arguments.path.startswith("/") else f"/work/{arguments.path}"
    text = json.dumps({**arguments.model_dump(exclude_none=True), "path": path})
    mark = f"END-{secrets.token_hex(8)}"
    try:
        reply = context.run(f"{' '.join(PYTHON)} -m {file_editor.__name__} <<'{mark}'\n{text}\n{mark}", EDIT_SECONDS)
    except ValueError as error:
        raise ToolError(f"{error}; write the file in parts") from None
    if reply.exit_code != 0:
        raise ToolError(reply.output.strip() or f"the editor failed: {reply.killed or reply.exit_code}")
    return reply.output.rstrip("\n")


BASH = Tool(
    name="bash",
    description=(
        "Run a command in your own bash. The current folder, variables and background processes persist between calls. "
        "Available: /work (your files: writable and persistent), /shared (read-only: the forum as files, snapshots you "
        "checked out, long outputs, training texts with one teacher's weak labels, and the lab's documentation; start "
        "with /shared/lab/README.md), the usual command-line tools, and python3 with numpy. There is no network, no "
        "model and no GPU here: methods use models through `lab`, in experiments and quick checks. Search the forum "
        "with grep -r WORD /shared/forum before you repeat somebody's work. Long output is shortened in the answer and "
        "saved in full in a file that the answer names."
    ),
    arguments=BashArguments,
    run=_bash,
    idempotent=False,
)
FILES = Tool(
    name="files",
    description=(
        "View, create and edit text files in your sandbox. view shows a file with line numbers, or lists a folder. "
        "create writes an entire file. str_replace replaces old_str, which must occur exactly once, with new_str. "
        "insert adds lines after insert_line."
    ),
    arguments=FilesArguments,
    run=_files,
    idempotent=False,
)
