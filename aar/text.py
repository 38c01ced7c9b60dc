"""Validation of foreign text: bounded, and free of characters that act on a terminal, a log or a database.

Control characters (escape sequences, NUL, carriage return) and lone surrogates are refused everywhere. Names and
titles, which are shown next to the platform's own text, must also have no invisible characters: none that change the
direction of writing, break lines, join, or leave no mark. The meaning of a text is not checked: a reader, person or
model, must treat posts and messages as claims of their author.
"""

import re
import unicodedata

from pydantic import ValidationError

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CUT = " [...]"
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters, marks and symbols that leave no mark: fillers, variation selectors, the blank of Braille, and what Unicode
# calls default-ignorable. Without U+FE0E and U+FE0F, which follow an emoji in ordinary writing.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0d\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def is_unseen(character: str) -> bool:
    """True if `character` is invisible, or only visible by its effect on others, like line break and tab."""
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or _UNSEEN.match(character) is not None


def checked_text(text: str, limit: int) -> str:
    """Return `text` if it has at most `limit` bytes as UTF-8 and no control characters. Raises ValueError otherwise."""
    unwanted = _UNWANTED.search(text)
    if unwanted:
        raise ValueError(
            f"has {unwanted[0]!r} at position {unwanted.start()}; of the control characters, only newline and tab are "
            "allowed"
        )
    size = len(text.encode())
    if size > limit:
        raise ValueError(f"has {size} bytes; at most {limit} are allowed")
    return text


def checked_line(text: str, limit: int) -> str:
    """Return `text` if it is one line of 1 to `limit` visible characters, not blank. Raises ValueError otherwise."""
    if not text.strip():
        raise ValueError("is empty")
    if len(text) > limit:
        raise ValueError(f"has {len(text)} characters; at most {limit} are allowed")
    if "\n" in text:
        raise ValueError("has a line break; write one line")
    unseen = next((place for place, character in enumerate(text) if is_unseen(character)), None)
    if unseen is not None:
        raise ValueError(f"has {text[unseen]!a} at position {unseen}, which is invisible; remove it")
    return checked_text(text, 4 * limit)


def fitted_text(text: str, limit: int) -> str:
    """Make any text acceptable to `checked_text`: unwanted characters as their numbers, the end cut off if too long."""
    return _cut(_UNWANTED.sub(lambda match: _number(match[0]), text), limit)


def fitted_line(text: str, limit: int) -> str:
    """Make any text acceptable to `checked_line`: one line, invisible characters as their numbers, the end cut off."""
    line = " ".join(text[: 4 * limit].split())  # the rest of a long text would be cut off anyway
    visible = "".join(_number(character) if is_unseen(character) else character for character in line)
    return (visible if len(visible) <= limit else visible[: limit - len(_CUT)] + _CUT) or "(nothing)"


def _cut(text: str, limit: int) -> str:
    whole = text.encode()
    return text if len(whole) <= limit else whole[: limit - len(_CUT)].decode(errors="ignore") + _CUT


def _number(character: str) -> str:
    return f"<U+{ord(character):04X}>"


def explain(error: ValidationError) -> str:
    """Format a validation error on one line: each field and its fault."""
    return "; ".join(f"{item['loc'][0]} {item['msg'].removeprefix('Value error, ')}" for item in error.errors())
