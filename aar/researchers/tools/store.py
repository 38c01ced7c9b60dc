"""The code store tools, and how they read files out of a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from aar.commons.code_store import files_digest
from aar.commons.foreign import Foreign
from aar.commons.quoting import quoted_block, quoted_line, quoted_name
from aar.errors import ToolError
from aar.methods import METHOD_FILE
from aar.researchers.tools.tool import Arguments, Call, Tool
from aar.untrusted_files import FILE_BYTES, is_folder, read_file, read_workspace

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext


WORKSPACE = "/work/"


def read_method(workspace: Path, name: str) -> bytes:
    """Read one file. Raises UntrustedFileError if it is not a plain file of the workspace."""
    return read_file(workspace, _relative(name), FILE_BYTES)


def read_files(workspace: Path, names: list[str]) -> dict[str, bytes]:
    """Read files by name. A folder stands for every file in it.

    Raises:
        UntrustedFileError: one is not a plain file of the workspace, or a folder contains something a snapshot may not.
        ToolError: a folder contains no files.
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
    files = {name: content for name, content in read_workspace(workspace).items() if name.startswith(inside)}
    if not files:
        raise ToolError(f"the folder {folder or '.'} of the workspace has no files")
    return files


def _relative(name: str) -> str:
    return name.removeprefix(WORKSPACE).removeprefix("./").rstrip("/")


Snapshot = str
DIFF_CHARACTERS = 200_000
_SNAPSHOT = "A snapshot id (the first 7 digits are enough) or an experiment such as e7."


class PublishArguments(Arguments):
    """Files to publish."""

    message: str = Field(description="What the files are, in one or a few lines.")
    paths: list[str] = Field(default=[METHOD_FILE], min_length=1, description="Files and folders in /work.")
    parent: Snapshot | None = Field(default=None, description="The snapshot they build on.")


class CheckoutArguments(Arguments):
    """A snapshot to look at."""

    snapshot: Snapshot = Field(description=_SNAPSHOT)


class DiffArguments(Arguments):
    """Two snapshots to compare."""

    snapshot: Snapshot = Field(description=_SNAPSHOT)
    other: Snapshot | None = Field(
        default=None, description="The later snapshot. Without it, the diff is from the parent of `snapshot` to it."
    )


def _publish(context: "ToolContext", call: Call) -> str:
    arguments: PublishArguments = call.arguments
    files = read_files(context.paths.workspace, arguments.paths)
    digest = files_digest(files)
    parent = context.resolved(arguments.parent) if arguments.parent else None
    snapshot = context.client.publish(files, arguments.message, parent, key=f"{call.key}/{digest}")
    return f"published {len(files)} files as snapshot {snapshot.id[:10]}"


def _checkout(context: "ToolContext", call: Call) -> str:
    arguments: CheckoutArguments = call.arguments
    snapshot = context.client.snapshot(context.resolved(arguments.snapshot))
    files = context.client.checkout(snapshot.id)
    place = f"snapshots/{snapshot.id[:10]}"
    context.account.hold("shared", place, sum(map(len, files.values())), len(files))
    folder = context.shared.write_all(place, files)
    listed = [f"{folder}/{name} ({len(content)} bytes)" for name, content in sorted(files.items())]
    names = quoted_block(Foreign("\n".join(listed)))
    built_on = f"built on {snapshot.parent[:10]}" if snapshot.parent else "without a parent"
    return (
        f"{snapshot.id[:10]} by {quoted_name(snapshot.author)}, {built_on}: {quoted_line(snapshot.message)}\n{names}\n"
        f"The files are read-only. Copy what you want to change: cp {folder}/{METHOD_FILE} /work/"
    )


def _diff(context: "ToolContext", call: Call) -> str:
    arguments: DiffArguments = call.arguments
    first = context.resolved(arguments.snapshot)
    second = context.resolved(arguments.other) if arguments.other else first
    if arguments.other is None:
        parent = context.client.snapshot(first).parent
        if parent is None:
            raise ToolError(f"{arguments.snapshot} has no parent; pass `other`, or use store_checkout")
        first = parent
    difference = context.client.diff(first, second)
    return quoted_block(difference, DIFF_CHARACTERS) if difference else "No difference."


STORE_PUBLISH = Tool(
    name="store_publish",
    description=(
        "Publish files of your workspace as a snapshot that others can check out and build on. run_experiment already "
        "publishes the method it runs; use this for everything else: analyses, helpers, drafts."
    ),
    arguments=PublishArguments,
    run=_publish,
)
STORE_CHECKOUT = Tool(
    name="store_checkout",
    description="Copy the files of any snapshot into /shared/snapshots, to read, copy and build on.",
    arguments=CheckoutArguments,
    run=_checkout,
)
STORE_DIFF = Tool(
    name="store_diff",
    description="Show what changed between two snapshots, or between a snapshot and its parent.",
    arguments=DiffArguments,
    run=_diff,
)
