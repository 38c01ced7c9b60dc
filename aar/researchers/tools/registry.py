"""The tools, by name."""

from aar.errors import ToolError
from aar.researchers.tools import experiments, forum, overview, sandbox, store
from aar.researchers.tools.tool import Tool

TOOLS: tuple[Tool, ...] = (
    sandbox.BASH,
    sandbox.FILES,
    experiments.RUN_EXPERIMENT,
    experiments.EXPERIMENT,
    experiments.QUICK_CHECK,
    forum.FORUM_POST,
    forum.FORUM_READ,
    forum.FORUM_REPLY,
    forum.VOTE,
    store.STORE_PUBLISH,
    store.STORE_CHECKOUT,
    store.STORE_DIFF,
    overview.LEADERBOARD,
    overview.LAB_NOTES,
    overview.BUDGET,
)
_BY_NAME = {tool.name: tool for tool in TOOLS}


def label(name: str) -> str:
    """What metrics call a tool: its name, or "unknown" for whatever name a model made up."""
    return name if name in _BY_NAME else "unknown"


def find(name: str) -> Tool:
    """The tool with a name. Raises ToolError, which names those there are, when there is none."""
    if name not in _BY_NAME:
        raise ToolError(f'there is no tool "{name}"; there are: {", ".join(_BY_NAME)}')
    return _BY_NAME[name]
