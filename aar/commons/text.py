"""The text that the commons accepts: bounded, and free of characters that a terminal, a log or a database acts on.

Refused are the control characters (escape sequences, NUL, carriage return) and lone surrogates. What the text says is
not looked at: a reader, person or model, has to treat posts and messages as claims of their author.
"""

import re

from pydantic import ValidationError

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def checked_text(text: str, limit: int) -> str:
    """`text`, of at most `limit` bytes as UTF-8. Raises ValueError otherwise."""
    found = _UNWANTED.search(text)
    if found:
        raise ValueError(f"has {found[0]!r} at position {found.start()}; only newline and tab are allowed of such")
    size = len(text.encode())
    if size > limit:
        raise ValueError(f"has {size} bytes, at most {limit} are allowed")
    return text


def checked_line(text: str, limit: int) -> str:
    """`text`, one line of 1 to `limit` characters, not blank. Raises ValueError otherwise."""
    if not text.strip():
        raise ValueError("is empty")
    if len(text) > limit:
        raise ValueError(f"has {len(text)} characters, at most {limit} are allowed")
    if "\n" in text:
        raise ValueError("has a line break; write one line")
    return checked_text(text, 4 * limit)


def explain(error: ValidationError) -> str:
    """What is wrong with which field, on one line."""
    return "; ".join(f"{item['loc'][0]} {item['msg'].removeprefix('Value error, ')}" for item in error.errors())
