"""What people want of a researcher, as it is told to the researcher: directions, messages."""

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


def wish_words(wish: Wish) -> str:
    """What a person asked for, marked as a person's."""
    if wish.action == "direction":
        told = later_direction_words(wish.text or None)
        return f"[{wish.by}, a person who runs this campaign, gives you a new direction]\n{told}"
    return f"[message from {wish.by}, a person who runs this campaign]\n{wish.text}"
