"""Python that agents wrote, parsed outside of any sandbox.

Protected: whatever the text is, parsing it returns a tree or raises SourceError, in bounded time and memory, and the
tree is flat enough for what recurses over it: `ast.unparse`, `ast.dump`, visitors. CPython's parser bounds how deep it
recurses by itself, but by a number that a small stack does not hold, and f-strings begin to count anew: so it runs in a
thread with a stack that holds all of it.
Not protected: `ast.unparse` refuses some f-strings, by ValueError. And compiling a tree: code of some hundred bytes can
grow without bound (each `finally` stands twice in the code, and so on inwards), so nothing is compiled outside of a
sandbox.
"""

import ast
import threading
from concurrent.futures import ThreadPoolExecutor

from aar.errors import SourceError
from aar.text import fitted_line

SOURCE_BYTES = 256 * 1024
LEVELS = 100
"""How deep a tree may be: `ast.unparse` takes three frames for a level and more, of the thousand that Python has."""
NUMBER_BITS = 4096
WHY_CHARACTERS = 200
_STACK_BYTES = 64 * 1024 * 1024
_starting = threading.Lock()


def parse(source: str | bytes) -> ast.Module:
    """The tree of a Python source, at most 100 levels deep.

    Raises:
        SourceError: it is no Python, larger than 256 KiB, nested deeper, or has a number of more than 4096 bits; the
            message is one printable line of at most 200 characters.
    """
    if len(source) > SOURCE_BYTES:
        raise SourceError(f"it has more than {SOURCE_BYTES} bytes; move what is data into a file of its own")
    try:
        tree = _parsed(source)
    except SyntaxError as error:
        raise SourceError(fitted_line(f"line {error.lineno}: syntax error: {error.msg}", WHY_CHARACTERS)) from None
    except (MemoryError, RecursionError):
        raise _too_deep() from None
    # The parser decodes, reads numbers and warns, too: what of that fails for foreign text is not for us to list.
    except Exception as error:
        raise SourceError(fitted_line(f"it cannot be read: {error}", WHY_CHARACTERS)) from None
    _check_depth(tree)
    _check_numbers(tree)
    return tree


def names(tree: ast.Module) -> set[str]:
    """Every name that is defined, imported or used somewhere in a tree."""
    found = (getattr(node, field, None) for node in ast.walk(tree) for field in ("id", "name", "asname"))
    return {name for name in found if isinstance(name, str)}


def _parsed(source: str | bytes) -> ast.Module:
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
    """Written in hexadecimal, a number is read that Python then refuses to show."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    if any(isinstance(value, int) and value.bit_length() > NUMBER_BITS for value in constants):
        raise SourceError(f"it has a number of more than {NUMBER_BITS} bits; move what is data into a file of its own")


def _too_deep() -> SourceError:
    return SourceError(f"it is nested deeper than {LEVELS} levels (chains of operators, calls and elif count, too)")
