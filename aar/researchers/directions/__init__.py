"""Directions: short and deliberately vague starting points, a different one for each researcher."""

from importlib.resources import files
from pathlib import Path

from aar.errors import ConfigError


def builtin_directions() -> list[str]:
    """Return the names of the built-in directions, sorted."""
    return sorted(file.name.removesuffix(".md") for file in files(__name__).iterdir() if file.name.endswith(".md"))


UNDIRECTED = "undirected"


def read_direction(direction: str | None) -> tuple[str, str]:
    """Return a direction's name and text, from a built-in name or a text file's path. None has an empty text.

    Raises:
        ConfigError: it is neither of the two.
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
    """Return the name of a direction: a built-in name, or its file's name without the suffix."""
    return UNDIRECTED if direction is None else Path(direction).stem
