"""Methods as a person names them on the command line."""

from pathlib import Path

from aar.commons.foreign import names, parse
from aar.errors import MethodError, SourceError
from aar.methods import builtin_names, builtin_source


def read_method(name_or_file: str) -> tuple[str, bytes]:
    """A method's name and source, from a file or the name of a built-in method. The source is parsed, not run.

    Raises:
        MethodError: there is no such method, it is no Python, or it defines no `supervise`.
    """
    if name_or_file in builtin_names():
        return name_or_file, builtin_source(name_or_file).encode()
    file = Path(name_or_file)
    try:
        source = file.read_bytes()
    except OSError as error:
        known = ", ".join(builtin_names())
        raise MethodError(f"{file}: {error.strerror}. Give a method file, or a built-in method: {known}") from None
    _check(file, source)
    return file.stem, source


def _check(file: Path, source: bytes) -> None:
    try:
        defined = names(parse(source))
    except SourceError as error:
        raise MethodError(f"{file} is no Python source: {error}") from None
    if "supervise" not in defined:
        raise MethodError(f"{file} defines no function supervise(lab)")
