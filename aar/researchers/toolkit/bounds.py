"""What a tool call may be before anything of it is written down or sent on.

Covers: names and arguments of any size, depth and kind, from a model, a person or an MCP client.
Does not cover: what the arguments mean; each tool says what it takes.
"""

import json

from aar.errors import ToolError

NAME_CHARACTERS = 64
KEY_CHARACTERS = 200
ARGUMENT_BYTES = 2 * 2**20
"""As JSON: twice what a shell takes as one command."""


def check_call(tool: str, arguments: object, key: str | None = None) -> None:
    """Raises ToolError, in few words, when a call is too large to be answered."""
    if len(tool) > NAME_CHARACTERS:
        raise ToolError(f"a tool's name has at most {NAME_CHARACTERS} characters, not {len(tool)}; nothing was done")
    if key is not None and len(key) > KEY_CHARACTERS:
        raise ToolError(f"a call's key has at most {KEY_CHARACTERS} characters, not {len(key)}; nothing was done")
    try:
        size = len(json.dumps(arguments))
    except (TypeError, ValueError, RecursionError):
        raise ToolError(f"the arguments of {tool} are no plain JSON, or nested too deeply; nothing was done") from None
    if size > ARGUMENT_BYTES:
        raise ToolError(
            f"the arguments of {tool} have {size} bytes, at most {ARGUMENT_BYTES} are taken; nothing was done. Write "
            "large files in parts"
        )
