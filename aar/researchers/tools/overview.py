"""The leaderboard, the budget, and the researcher's notes."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aar.budget.limits import readable
from aar.commons.diversity import format_diversity
from aar.researchers.tools.formatting import ranking
from aar.researchers.tools.tool import Arguments, Call, Tool

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext


class LeaderboardArguments(Arguments):
    """Arguments of the leaderboard."""

    limit: int = Field(default=15, ge=1, le=100)


class NotesArguments(Arguments):
    """A command on the notes."""

    command: Literal["view", "create", "str_replace", "insert", "delete", "rename"]
    path: str | None = Field(
        default=None, description="A path below /memories. Required by every command except rename."
    )
    view_range: list[int] | None = Field(default=None, description="view: first and last line.")
    file_text: str | None = Field(default=None, description="create: the whole content.")
    old_str: str | None = Field(default=None, description="str_replace: text that occurs exactly once.")
    new_str: str | None = Field(default=None, description="str_replace: the replacement.")
    insert_line: int | None = Field(default=None, description="insert: the line to insert after; 0 is the start.")
    insert_text: str | None = Field(default=None, description="insert: the new lines.")
    old_path: str | None = Field(default=None, description="rename: the old path.")
    new_path: str | None = Field(default=None, description="rename: the new path.")


def _leaderboard(context: "ToolContext", call: Call) -> str:
    arguments: LeaderboardArguments = call.arguments
    experiments = context.client.experiments()
    lines = ranking(experiments, arguments.limit) or ["Nothing has been scored yet."]
    running = sum(one.status == "running" for one in experiments)
    failed = sum(one.status == "failed" for one in experiments)
    untold = sum(one.status == "scored" and one.score is None for one in experiments)
    families = format_diversity(context.client.named_families())
    others = f"Also: {running} running, {failed} failed, {untold} without a significant improvement."
    return "\n".join([*lines, others, families])


def _notes(context: "ToolContext", call: Call) -> str:
    arguments: NotesArguments = call.arguments
    return context.notes.run(arguments.model_dump(exclude_none=True))


def _budget(context: "ToolContext", call: Call) -> str:
    lines = [f"{limit.describe()}, {readable(limit.what, limit.left)} left" for limit in context.limits()]
    end = "When you have used up any limit except experiments, you are stopped. Post your findings before that."
    return "\n".join([*lines, context.account.describe(), end])


LEADERBOARD = Tool(
    name="leaderboard",
    description="The best experiments so far, with vanilla as the reference, and the families of methods tried so far.",
    arguments=LeaderboardArguments,
    run=_leaderboard,
)
LAB_NOTES = Tool(
    name="lab_notes",
    description=(
        "Your own notes, as files below /memories. They survive every restart and the end of your conversation, which "
        "may be summarised or restarted at any time; you are shown them then. Keep what you would need to continue: "
        "what you tried, the outcomes, your conclusions, the next steps. `view /memories` lists them."
    ),
    arguments=NotesArguments,
    run=_notes,
    idempotent=False,
)
BUDGET = Tool(name="budget", description="What you have used and what is left.", arguments=Arguments, run=_budget)
