"""The tools of researchers that think: one registry, whoever holds them.

A language model, an MCP client and a person at a command line are offered the same tools, with the same arguments, and
are answered in the same words. `registry` lists them, `context` is what they act on, `calls` answers one call, once.
"""

from aar.researchers.tools.registry import TOOLS, find
from aar.researchers.tools.tool import Arguments, Tool

__all__ = ["TOOLS", "Arguments", "Tool", "find"]
