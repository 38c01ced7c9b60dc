"""What researchers that think are told, as files that a person can edit; `{names}` are filled in."""

from importlib.resources import files
from pathlib import Path

from aar.errors import ConfigError


def read_prompt(name: str) -> str:
    """A prompt that comes with aar, by its file's name without ending."""
    return files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")


def fill(template: str, **values: object) -> str:
    """The template with `{name}` replaced by each value; braces that name none of them stay as they are."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", str(value))
    return template.strip() + "\n"


def system_prompt(file: Path | None) -> str:
    """The template of the system prompt: a file of the user's, or the one that comes with aar.

    Raises ConfigError when the file cannot be read.
    """
    if file is None:
        return read_prompt("system")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the prompt cannot be read ({error})") from None
