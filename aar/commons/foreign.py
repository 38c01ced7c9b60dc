"""Words that a researcher wrote, as a type of their own, so that they cannot be taken for the platform's.

A `Foreign` is no text: an f-string, `format`, `join` and `+` refuse it, and a type checker does where it can. What is
told to a language model takes it by `aar.commons.quoting` alone. Whoever shows it to people, stores it or compares it
asks for its `words`, and has an escaping of its own.
"""

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Foreign:
    """Somebody's `words`. Equal words are equal."""

    __slots__ = ("words",)

    def __init__(self, words: str) -> None:
        self.words = words

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and other.words == self.words

    def __hash__(self) -> int:
        return hash(self.words)

    def __bool__(self) -> bool:
        return bool(self.words)

    def __repr__(self) -> str:
        return f"Foreign({self.words!r})"

    def __str__(self) -> str:
        raise TypeError("these are somebody's words: quote them (aar.commons.quoting), or take .words and escape them")

    def __format__(self, _: str) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type["Foreign"], tuple[str]]:
        return Foreign, (self.words,)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """In JSON it is the words."""
        words = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        written = core_schema.plain_serializer_function_ser_schema(lambda value: value.words)
        return core_schema.json_or_python_schema(
            words, core_schema.union_schema([core_schema.is_instance_schema(cls), words]), serialization=written
        )
