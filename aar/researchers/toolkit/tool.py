"""What a tool is: a name, a description, typed arguments, and a function that answers in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from aar.errors import ToolError
from aar.researchers.toolkit.bounds import NAME_CHARACTERS

if TYPE_CHECKING:
    from aar.researchers.toolkit.desk import Desk


PROBLEMS_TOLD = 5


class Arguments(BaseModel):
    """The base of every tool's arguments: strict about unknown names, with a description of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Call:
    """One call. `key` names it in the researcher's life; what is done under a key that was used before is not redone.

    `again`: it was begun before, by a process that did not live to say what came of it.
    """

    arguments: Any
    key: str
    again: bool = False


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        run: answers a call; blocks. Raises ToolError when it cannot be answered as asked.
        repeatable: a call that was cut off half-way may be made again under its key.
    """

    name: str
    description: str
    arguments: type[Arguments]
    run: "Callable[[Desk, Call], str]"
    repeatable: bool = True

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        schema.pop("description", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
        return {**schema, "properties": schema.get("properties", {})}

    def parse(self, arguments: Any) -> Arguments:
        """The arguments of a call. Raises ToolError, which says what each should be."""
        try:
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            problems = "; ".join(_explain(dict(item)) for item in error.errors()[:PROBLEMS_TOLD])
            raise ToolError(f"{self.name} cannot be called so: {problems}. {self._usage()}") from None

    def _usage(self) -> str:
        names = [name if field.is_required() else f"[{name}]" for name, field in self.arguments.model_fields.items()]
        return f"It takes: {', '.join(names) or 'nothing'}."


def _explain(item: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])[:NAME_CHARACTERS] or "the arguments"
    return f"{where}: {item['msg'].removeprefix('Value error, ')}"
