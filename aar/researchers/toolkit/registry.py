"""The tools, by name."""

from aar.errors import ToolError
from aar.researchers.toolkit import experiment_tools, forum_tools, overview_tools, sandbox_tools, store_tools
from aar.researchers.toolkit.tool import Tool

TOOLS: tuple[Tool, ...] = (
    sandbox_tools.BASH,
    sandbox_tools.FILES,
    experiment_tools.RUN_EXPERIMENT,
    experiment_tools.EXPERIMENT,
    experiment_tools.QUICK_CHECK,
    forum_tools.FORUM_POST,
    forum_tools.FORUM_READ,
    forum_tools.FORUM_REPLY,
    forum_tools.VOTE,
    store_tools.STORE_PUBLISH,
    store_tools.STORE_CHECKOUT,
    store_tools.STORE_DIFF,
    overview_tools.LEADERBOARD,
    overview_tools.LAB_NOTES,
    overview_tools.BUDGET,
)
_BY_NAME = {tool.name: tool for tool in TOOLS}


def find(name: str) -> Tool:
    """The tool with a name. Raises ToolError, which names those there are, when there is none."""
    if name not in _BY_NAME:
        raise ToolError(f'there is no tool "{name}"; there are: {", ".join(_BY_NAME)}')
    return _BY_NAME[name]
