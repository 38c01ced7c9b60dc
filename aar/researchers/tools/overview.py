"""Tools that tell how things stand, and the researcher's notes."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aar.budget.limits import readable
from aar.commons.diversity import diversity_words
from aar.researchers.tools.formatting import ranking
from aar.researchers.tools.tool import Arguments, Call, Tool

if TYPE_CHECKING:
    from aar.researchers.context import ToolContext


class LeaderboardArguments(Arguments):
    """How much of the leaderboard to show."""

    limit: int = Field(default=15, ge=1, le=100)


class NotesArguments(Arguments):
    """A command on the notes."""

    command: Literal["view", "create", "str_replace", "insert", "delete", "rename"]
    path: str | None = Field(default=None, description="A path below /memories; for every command but rename.")
    view_range: list[int] | None = Field(default=None, description="view: first and last line.")
    file_text: str | None = Field(default=None, description="create: the whole content.")
    old_str: str | None = Field(default=None, description="str_replace: text that stands there once.")
    new_str: str | None = Field(default=None, description="str_replace: the text in its place.")
    insert_line: int | None = Field(default=None, description="insert: after which line; 0 is the beginning.")
    insert_text: str | None = Field(default=None, description="insert: the new lines.")
    old_path: str | None = Field(default=None, description="rename: from.")
    new_path: str | None = Field(default=None, description="rename: to.")


def _leaderboard(context: "ToolContext", call: Call) -> str:
    arguments: LeaderboardArguments = call.arguments
    experiments = context.client.experiments()
    lines = ranking(experiments, arguments.limit) or ["Nothing was scored yet."]
    running = sum(one.status == "running" for one in experiments)
    failed = sum(one.status == "failed" for one in experiments)
    untold = sum(one.status == "scored" and one.score is None for one in experiments)
    families = diversity_words(context.client.named_families())
    others = f"Besides: {running} running, {failed} failed, {untold} without a significant improvement."
    return "\n".join([*lines, others, families])


def _notes(context: "ToolContext", call: Call) -> str:
    arguments: NotesArguments = call.arguments
    return context.notes.run(arguments.model_dump(exclude_none=True))


def _budget(context: "ToolContext", call: Call) -> str:
    lines = [f"{limit.describe()}, {readable(limit.what, limit.left)} left" for limit in context.limits()]
    end = "Whoever has used up a limit other than experiments is ended there; post in time."
    return "\n".join([*lines, context.account.describe(), end])


LEADERBOARD = Tool(
    name="leaderboard",
    description="The best experiments so far, with vanilla as reference, and which families of methods were tried.",
    arguments=LeaderboardArguments,
    run=_leaderboard,
)
LAB_NOTES = Tool(
    name="lab_notes",
    description=(
        "Your own notes, as files below /memories. They outlive your conversation, which may be summarised or begun "
        "anew at any time, and every restart; you are shown them then. Keep there what you would need to go on: what "
        "you tried, what came out, what you think, what is next. view /memories lists them."
    ),
    arguments=NotesArguments,
    run=_notes,
    repeatable=False,
)
BUDGET = Tool(name="budget", description="What you have used and what is left.", arguments=Arguments, run=_budget)
