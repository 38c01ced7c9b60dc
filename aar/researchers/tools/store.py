"""Code store tools."""

from typing import TYPE_CHECKING

from pydantic import Field

from aar.commons.code_store import files_digest
from aar.commons.foreign import Foreign
from aar.commons.quoting import quoted_block, quoted_line, quoted_name
from aar.errors import ToolError
from aar.researchers.tools.duplicates import METHOD_FILE
from aar.researchers.tools.publishing import read_files
from aar.researchers.tools.tool import Arguments, Call, Tool

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext

Snapshot = str
DIFF_CHARACTERS = 200_000
_NAMED = "A snapshot's id (the first 7 digits are enough) or an experiment such as e7."


class PublishArguments(Arguments):
    """Files to publish."""

    message: str = Field(description="What this is, in one or a few lines.")
    paths: list[str] = Field(default=[METHOD_FILE], min_length=1, description="Files and folders in /work.")
    parent: Snapshot | None = Field(default=None, description="The snapshot that it builds on.")


class CheckoutArguments(Arguments):
    """A snapshot to look at."""

    snapshot: Snapshot = Field(description=_NAMED)


class DiffArguments(Arguments):
    """Two snapshots to compare."""

    snapshot: Snapshot = Field(description=_NAMED)
    other: Snapshot | None = Field(
        default=None, description="The later snapshot. Without it, the diff runs from the parent to `snapshot`."
    )


def _publish(context: "ToolContext", call: Call) -> str:
    arguments: PublishArguments = call.arguments
    files = read_files(context.places.workspace, arguments.paths)
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
        f"They are read-only and somebody else's. Copy what you want to change: cp {folder}/{METHOD_FILE} /work/"
    )


def _diff(context: "ToolContext", call: Call) -> str:
    arguments: DiffArguments = call.arguments
    first = context.resolved(arguments.snapshot)
    second = context.resolved(arguments.other) if arguments.other else first
    if arguments.other is None:
        parent = context.client.snapshot(first).parent
        if parent is None:
            raise ToolError(f"{arguments.snapshot} has no parent; name another snapshot, or check it out")
        first = parent
    difference = context.client.diff(first, second)
    return quoted_block(difference, DIFF_CHARACTERS) if difference else "No difference."


STORE_PUBLISH = Tool(
    name="store_publish",
    description=(
        "Publish files of your workspace as a snapshot that others can check out and build on. run_experiment already "
        "publishes the method it runs; use this for the rest: analyses, helpers, drafts."
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
