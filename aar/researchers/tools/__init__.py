"""The tools of researchers that think, in one registry.

A language model, an MCP client and a person at a command line get the same tools, with the same arguments and answers.
`context` holds what they act on, and `executor` executes a call exactly once.
"""

from aar.errors import ToolError
from aar.researchers.tools import experiments, forum, notes, results, sandbox, store
from aar.researchers.tools.tool import Arguments, Tool

__all__ = ["BY_NAME", "TOOLS", "Arguments", "Tool", "find", "label"]

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
    results.LEADERBOARD,
    notes.LAB_NOTES,
    results.BUDGET,
)
BY_NAME = {tool.name: tool for tool in TOOLS}


def label(name: str) -> str:
    """Return the label of a tool in metrics: its name, or "unknown" for a name that a model made up."""
    return name if name in BY_NAME else "unknown"


def find(name: str) -> Tool:
    """Return the tool with a name. Raises ToolError, which lists the existing tools, if there is none."""
    if name not in BY_NAME:
        raise ToolError(f'there is no tool "{name}"; the tools are: {", ".join(BY_NAME)}')
    return BY_NAME[name]
