"""The built-in methods: method files such as a researcher writes, which use nothing but `lab` and numpy.

Here they are package data: researchers get their source, and it runs in a sandbox like that of any other method.
"""

from importlib.resources import files

from aar.errors import ConfigError

METHOD_FILE = "method.py"
"""The file of a workspace or snapshot that defines supervise(lab)."""


def builtin_names() -> list[str]:
    """Return the names of the built-in methods, sorted."""
    return sorted(
        file.name.removesuffix(".py")
        for file in files(__name__).iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_")
    )


def builtin_source(name: str) -> str:
    """Return the complete method file of a built-in method. Raises ConfigError when there is none of that name."""
    names = builtin_names()
    if name not in names:
        raise ConfigError(f'there is no built-in method "{name}"; there are: {", ".join(names)}')
    return files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
