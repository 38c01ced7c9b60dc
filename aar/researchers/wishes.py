"""What people want of a researcher, as it is told to the researcher: directions, messages.

Protected: a message from people begins with the researcher's mark, which is drawn by the system, told to this
researcher alone, kept where no sandbox sees it, and hidden in whatever its tools answer. So nobody who writes posts,
notes, files or outputs can imitate it.
Not protected: a model that takes something like its mark for its mark.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from aar.commons.marks import new_mark
from aar.database import storage_errors
from aar.errors import ConfigError
from aar.researchers.directions import read_direction
from aar.researchers.prompts import fill, read_prompt
from aar.researchers.steering import Wish


def direction_words(direction: str | None) -> str:
    """A direction as it is told, or that there is none. Raises ConfigError when it cannot be read."""
    _, text = read_direction(direction)
    return fill(read_prompt("directed"), direction=text) if text else read_prompt("undirected").strip()


def later_direction_words(direction: str | None) -> str:
    """As `direction_words`, for a researcher that works already, whom a file that is gone must not end."""
    try:
        return direction_words(direction)
    except ConfigError as error:
        return f"(The direction cannot be read any more: {error}. Go on as you see fit.)"


def wish_words(wish: Wish, mark: str) -> str:
    """What a person asked for, with the mark that says so."""
    if wish.action == "direction":
        told = later_direction_words(wish.text or None)
        return f"[{mark}] {wish.by}, a person who runs this campaign, gives you a new direction:\n{told}"
    return f"[{mark}] message from {wish.by}, a person who runs this campaign:\n{wish.text}"


def platform_words(text: str, mark: str) -> str:
    """What the platform says by itself, other than in answer to a call."""
    return f"[{mark}] from the platform:\n{text}"


def mark_of(folder: Path, researcher: str) -> str:
    """The mark of a researcher of the campaign in `folder`; drawn when it is first asked for, and kept."""
    file = folder / "researchers" / researcher / "mark"
    with storage_errors(file):
        if not file.exists():
            _draw(file)
        return file.read_text()


def _draw(file: Path) -> None:
    """Several processes may do so at once: the first one's mark holds, and it is whole as soon as it is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_name(f"mark.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(new_mark())
        with suppress(FileExistsError):
            os.link(staged, file)
    finally:
        staged.unlink(missing_ok=True)


def mark_words(mark: str) -> str:
    """What a researcher is told of its mark."""
    return fill(read_prompt("people"), mark=mark)
