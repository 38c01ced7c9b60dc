"""The built-in methods: method files such as a researcher writes, which use nothing but `lab` and numpy.

They are package data here: their source is handed out, and it runs in a sandbox like any other method's.
"""

from importlib.resources import files

from aar.errors import ConfigError


def builtin_names() -> list[str]:
    """The built-in methods' names, sorted."""
    return sorted(
        file.name.removesuffix(".py")
        for file in files(__name__).iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_")
    )


def builtin_source(name: str) -> str:
    """The complete method file of a built-in method. Raises ConfigError when there is none of that name."""
    known = builtin_names()
    if name not in known:
        raise ConfigError(f'there is no built-in method "{name}"; there are: {", ".join(known)}')
    return files(__name__).joinpath(f"{name}.py").read_text(encoding="utf-8")
