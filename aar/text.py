"""The text that is accepted of others: bounded, and free of characters that a terminal, a log or a database acts on.

Refused everywhere are the control characters (escape sequences, NUL, carriage return) and lone surrogates. Names and
titles, which stand next to what the platform says, also have no characters that are not seen: none that turn the
direction of writing, break lines, join, or leave no mark. What the text says is not looked at: a reader, person or
model, has to treat posts and messages as claims of their author.
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
    """Whether a reader does not see `character`, or sees it act on others; line break and tab are such, too."""
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or _UNSEEN.match(character) is not None


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
    """`text`, one line of 1 to `limit` characters, not blank, all of them to be seen. Raises ValueError otherwise."""
    if not text.strip():
        raise ValueError("is empty")
    if len(text) > limit:
        raise ValueError(f"has {len(text)} characters, at most {limit} are allowed")
    if "\n" in text:
        raise ValueError("has a line break; write one line")
    unseen = next((place for place, character in enumerate(text) if is_unseen(character)), None)
    if unseen is not None:
        raise ValueError(f"has {text[unseen]!a} at position {unseen}, which is not seen; leave it out")
    return checked_text(text, 4 * limit)


def fitted_text(text: str, limit: int) -> str:
    """Any text as `checked_text` accepts it: what is unwanted as its number, the end cut off where it is too long."""
    return _cut(_UNWANTED.sub(lambda found: _number(found[0]), text), limit)


def fitted_line(text: str, limit: int) -> str:
    """Any text as `checked_line` accepts it: on one line, what is not seen as its number, the end cut off."""
    words = " ".join(text[: 4 * limit].split())  # of a long text, the rest could only be cut off again
    seen = "".join(_number(character) if is_unseen(character) else character for character in words)
    return (seen if len(seen) <= limit else seen[: limit - len(_CUT)] + _CUT) or "(nothing)"


def _cut(text: str, limit: int) -> str:
    whole = text.encode()
    return text if len(whole) <= limit else whole[: limit - len(_CUT)].decode(errors="ignore") + _CUT


def _number(character: str) -> str:
    return f"<U+{ord(character):04X}>"


def explain(error: ValidationError) -> str:
    """What is wrong with which field, on one line."""
    return "; ".join(f"{item['loc'][0]} {item['msg'].removeprefix('Value error, ')}" for item in error.errors())
