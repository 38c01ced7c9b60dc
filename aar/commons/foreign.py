"""Foreign text and code: researchers' text as a separate type, and their Python, parsed outside of any sandbox.

A `Foreign` is not a str, so it cannot be mistaken for the platform's text: an f-string, `format`, `join` and `+` refuse
it, and so does a type checker where it can. Text for a language model always goes through `aar.commons.quoting`. Code
that shows it to people, stores it or compares it takes its `text`, and escapes it in its own way.

`parse` protects the caller: whatever the source is, parsing returns a tree or raises SourceError, in bounded time and
memory, and the tree is flat enough for everything that recurses over it: `ast.unparse`, `ast.dump`, visitors.
Not protected: `ast.unparse` refuses some f-strings with a ValueError. Nor is compiling a tree: the code of a few
hundred bytes can grow without bound (each `finally` is compiled twice, and so on inwards), so nothing is compiled
outside of a sandbox.
"""

import ast
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from aar.errors import SourceError
from aar.text import fitted_line

SOURCE_BYTES = 256 * 1024
LEVELS = 100
"""The deepest tree allowed: `ast.unparse` takes three frames or more per level, of the thousand that Python has."""
NUMBER_BITS = 4096
REASON_CHARACTERS = 200
_STACK_BYTES = 64 * 1024 * 1024
_starting = threading.Lock()


class Foreign:
    """Somebody's `text`. Two are equal when their texts are."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return f"Foreign({self.text!r})"

    def __str__(self) -> str:
        raise TypeError("somebody else wrote this text: quote it (aar.commons.quoting), or take .text and escape it")

    def __format__(self, _: str) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type["Foreign"], tuple[str]]:
        return Foreign, (self.text,)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read and write it as a plain string in JSON."""
        wrapped = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        serializer = core_schema.plain_serializer_function_ser_schema(lambda value: value.text)
        return core_schema.json_or_python_schema(
            wrapped, core_schema.union_schema([core_schema.is_instance_schema(cls), wrapped]), serialization=serializer
        )


def parse(source: str | bytes) -> ast.Module:
    """Return the tree of a Python source, at most 100 levels deep.

    Raises:
        SourceError: the source is not Python, is larger than 256 KiB, is nested deeper, or has a number of more than
            4096 bits. The message is one printable line of at most 200 characters.
    """
    if len(source) > SOURCE_BYTES:
        raise SourceError(f"it has more than {SOURCE_BYTES} bytes; move what is data into a file of its own")
    try:
        tree = _parsed(source)
    except SyntaxError as error:
        raise SourceError(fitted_line(f"line {error.lineno}: syntax error: {error.msg}", REASON_CHARACTERS)) from None
    except (MemoryError, RecursionError):
        raise _too_deep() from None
    # The parser also decodes, reads numbers and warns. Foreign text may make any of that fail, in ways not listed here.
    except Exception as error:
        raise SourceError(fitted_line(f"it cannot be read: {error}", REASON_CHARACTERS)) from None
    _check_depth(tree)
    _check_numbers(tree)
    return tree


def names(tree: ast.Module) -> set[str]:
    """Return every name that is defined, imported or used somewhere in a tree."""
    fields = (getattr(node, field, None) for node in ast.walk(tree) for field in ("id", "name", "asname"))
    return {name for name in fields if isinstance(name, str)}


def _parsed(source: str | bytes) -> ast.Module:
    """Parse in a thread with a large stack.

    CPython's parser bounds its own recursion, but by a number too large for a small stack, and it starts to count again
    in each f-string.
    """
    with ThreadPoolExecutor(1, "parse") as pool:
        with _starting:
            before = threading.stack_size(_STACK_BYTES)
            try:
                tree = pool.submit(ast.parse, source)
            finally:
                threading.stack_size(before)
        return tree.result()


def _check_depth(tree: ast.Module) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(LEVELS):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise _too_deep()


def _check_numbers(tree: ast.Module) -> None:
    """Refuse huge numbers: Python reads them in hexadecimal, but then refuses to print them."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    if any(isinstance(value, int) and value.bit_length() > NUMBER_BITS for value in constants):
        raise SourceError(f"it has a number of more than {NUMBER_BITS} bits; move what is data into a file of its own")


def _too_deep() -> SourceError:
    return SourceError(f"it is nested deeper than {LEVELS} levels (chains of operators, calls and elif count, too)")
