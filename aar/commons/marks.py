"""The mark with which people's messages to one researcher begin, as far as it has a form.

What is handed to a researcher by tools never has that form, whoever wrote it: so a mark that got about, in a post or
in the last words of its owner, is neither read by others there nor of use to them.
"""

import re
import secrets

_DIGITS = 12
_MARK = re.compile(rf"people-[0-9a-f]{{{_DIGITS}}}")
_HIDDEN = f"people-{'x' * _DIGITS}"  # as long as a mark, so that places in a text stay what they were


def new_mark() -> str:
    """A mark that nobody can guess."""
    return f"people-{secrets.token_hex(_DIGITS // 2)}"


def without_marks(text: str) -> str:
    """`text`, of the same length, with no mark of anybody's in it."""
    return _MARK.sub(_HIDDEN, text)
