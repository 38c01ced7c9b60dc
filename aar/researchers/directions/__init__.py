"""Directions: short, deliberately vague starting points, a different one for each researcher."""

from importlib.resources import files
from pathlib import Path

from aar.errors import ConfigError


def builtin_directions() -> list[str]:
    """The built-in directions' names, sorted."""
    return sorted(file.name.removesuffix(".md") for file in files(__name__).iterdir() if file.name.endswith(".md"))


UNDIRECTED = "undirected"


def read_direction(direction: str | None) -> tuple[str, str]:
    """A direction's name and text, from the name of a built-in one or the path of a text file; None: an empty text.

    Raises:
        ConfigError: it is neither.
    """
    if direction is None:
        return UNDIRECTED, ""
    if direction in builtin_directions():
        return direction, files(__name__).joinpath(f"{direction}.md").read_text(encoding="utf-8").strip()
    try:
        return direction_name(direction), Path(direction).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f'direction "{direction}" is neither a readable text file nor one of: {", ".join(builtin_directions())}'
        ) from None


def direction_name(direction: str | None) -> str:
    """What a direction is called: the name of a built-in one, or its file's name without ending."""
    return UNDIRECTED if direction is None else Path(direction).stem
