"""What people want of a researcher, as it is told to the researcher: directions, messages.

Protected: a message from people begins with the researcher's mark, which is drawn by the system, told to this
researcher alone, and kept where no sandbox sees it. So nobody who writes posts, notes, files or outputs can imitate it.
Not protected: a researcher that tells its mark to others.
"""

import secrets
from contextlib import suppress
from pathlib import Path

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


def mark_of(folder: Path, researcher: str) -> str:
    """The mark of a researcher of the campaign in `folder`; drawn when it is first asked for, and kept."""
    file = folder / "researchers" / researcher / "mark"
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), file.open("x") as new:
            file.chmod(0o600)
            new.write(f"people-{secrets.token_hex(6)}")
        return file.read_text()


def mark_words(mark: str) -> str:
    """What a researcher is told of its mark."""
    return fill(read_prompt("people"), mark=mark)
