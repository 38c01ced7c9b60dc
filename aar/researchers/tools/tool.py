"""A tool: a name, a description, typed arguments, and a function that returns text.

`check_call` bounds a call before any of it is stored or forwarded.

Covers: names and arguments of any size, depth and type, from a model, a person or an MCP client.
Does not cover: the meaning of the arguments, which each tool validates itself.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from aar.errors import ToolError

NAME_CHARACTERS = 64
KEY_CHARACTERS = 200
ARGUMENT_BYTES = 2 * 2**20
"""Maximum size as JSON: twice what a shell accepts as one command."""


def check_call(tool: str, arguments: object, key: str | None = None) -> None:
    """Raise ToolError, with a short message, if a call is too large to be answered."""
    if len(tool) > NAME_CHARACTERS:
        raise ToolError(
            f"a tool's name may have at most {NAME_CHARACTERS} characters, not {len(tool)}; nothing was done"
        )
    if key is not None and len(key) > KEY_CHARACTERS:
        raise ToolError(f"a call's key may have at most {KEY_CHARACTERS} characters, not {len(key)}; nothing was done")
    try:
        size = len(json.dumps(arguments))
    except (TypeError, ValueError, RecursionError):
        raise ToolError(f"the arguments of {tool} are not plain JSON, or nested too deeply; nothing was done") from None
    if size > ARGUMENT_BYTES:
        raise ToolError(
            f"the arguments of {tool} have {size} bytes; at most {ARGUMENT_BYTES} are allowed. Nothing was done. Write "
            "large files in parts"
        )


if TYPE_CHECKING:
    from aar.researchers.context import ToolContext


MOST_PROBLEMS = 5


class Arguments(BaseModel):
    """Base class of all tools' arguments. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        key: an idempotency key. What was done under a key is not done again.
        is_retry: an earlier process started the call and was killed before it wrote a result.
    """

    arguments: Any
    key: str
    is_retry: bool = False


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        run: answers a call; blocks. Raises ToolError if the call cannot be carried out.
        idempotent: an interrupted call can be made again under its key.
    """

    name: str
    description: str
    arguments: type[Arguments]
    run: "Callable[[ToolContext, Call], str]"
    idempotent: bool = True

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        schema.pop("description", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
        return {**schema, "properties": schema.get("properties", {})}

    def parse(self, arguments: Any) -> Arguments:
        """Validate the arguments of a call. Raises ToolError, which explains each problem."""
        try:
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            problems = "; ".join(_explain(dict(item)) for item in error.errors()[:MOST_PROBLEMS])
            raise ToolError(f"Invalid arguments for {self.name}: {problems}. {self._usage()}") from None

    def _usage(self) -> str:
        names = [name if field.is_required() else f"[{name}]" for name, field in self.arguments.model_fields.items()]
        return f"Arguments: {', '.join(names) or 'none'}."


def _explain(item: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])[:NAME_CHARACTERS] or "the arguments"
    return f"{where}: {item['msg'].removeprefix('Value error, ')}"
