"""The logs of aar's processes: one line per event, for the operator, in Ray's log files and dashboard.

A line has ids, names from the settings, counts and seconds. Few lines contain text that an agent wrote, such as the
reason of a failure.

Covers: a text that would start its own line, act on a terminal or hide itself (line breaks, escape sequences, invisible
characters), or fill the disk: every record becomes one printable line of at most LINE_CHARACTERS, a traceback one such
line per frame, at most TRACEBACK_LINES of them. The values of environment variables that hold keys, and any text in the
form of a key, are replaced, whichever library logs them. The same holds for errors that end an actor or a worker
(`printable_errors`), which Ray itself writes into its logs unchanged.
Does not cover: the meaning of a text; keys in an unknown form; output that a program prints without `logging`.
"""

import logging
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from aar.errors import AarError
from aar.text import fitted_line

log = logging.getLogger(__name__)

LINE_CHARACTERS = 1000
READ_CHARACTERS = 64 * LINE_CHARACTERS
"""Maximum length of a record's text that is read; the rest is dropped."""
TRACEBACK_LINES = 20
"""Maximum number of frames of a traceback, the innermost ones: where the error was raised."""
HIDDEN = "[hidden]"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$")
_SECRET_FORM = re.compile(
    r"\b(?:sk-[\w-]{16,}|(?:hf|ghp|gho|ghs|github_pat)_\w{16,}|AKIA[0-9A-Z]{16}|[0-9a-f]{64}|eyJ[\w-]{16,}\.[\w.-]+"
    r"|aar_[\w-]{40,})"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
"""Keys of model endpoints, hubs and clouds, JSON web tokens, the 64 hex digits of Ray's tokens, external researchers'
tokens, names and passwords in URLs.
"""
_SHORTEST_SECRET = 8
ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class SafeFormatter(logging.Formatter):
    """Formats records as printable lines of bounded length, without keys."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: the variables that may hold keys; by default this process's."""
        super().__init__(FORMAT)
        variables = (os.environ if environment is None else environment).items()
        self._secrets = [
            value for name, value in variables if _SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST_SECRET
        ]

    def format(self, record: logging.LogRecord) -> str:
        head = self.line(f"{self.formatTime(record)} {record.levelname} {record.name}: {_message(record)}")
        if not record.exc_info:
            return head
        return "\n".join([head, *(f"    {self.line(line)}" for line in _frames(record.exc_info))])

    def line(self, text: str) -> str:
        """Format any text as one printable line of bounded length, without keys."""
        text = text[:READ_CHARACTERS]  # far more than is shown, so a key that is cut in two here is not in the line
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return fitted_line(_SECRET_FORM.sub(HIDDEN, text), LINE_CHARACTERS)


def log_to(handler: logging.Handler) -> None:
    """Send this process's log, from level INFO, to `handler` and to no other."""
    handler.setFormatter(SafeFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.raiseExceptions = False  # drop a record that cannot be written: `logging` would print it unformatted
    logging.getLogger("httpx2").setLevel(logging.WARNING)


@contextmanager
def printable_errors() -> Iterator[None]:
    """Log an error that leaves the block, and raise it with its message as one printable, bounded line.

    Raises:
        AarError: of the type that was raised.
        RuntimeError: in place of any other exception; its message begins with that one's type.
    """
    try:
        yield
    except Exception as error:
        log.exception("ends with an error")
        is_own = isinstance(error, AarError)
        kind, text = (type(error), str(error)) if is_own else (RuntimeError, f"{type(error).__name__}: {error}")
        raise kind(SafeFormatter().line(text)) from None


@contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """Append aar's own log in this process, from level INFO, to `file` until the block ends.

    Raises OSError if the file cannot be written.
    """
    handler, logger = logging.FileHandler(file), logging.getLogger("aar")
    handler.setFormatter(SafeFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit the format: `logging` would print both, unbounded
        return f"{record.msg} (its arguments do not fit)"


def _frames(error: ErrorInfo) -> Iterator[str]:
    """Yield the frames of an error's traceback, and its message."""
    kind, value, trace = error
    for frame in traceback.extract_tb(trace)[-TRACEBACK_LINES:]:
        yield f"{frame.filename}:{frame.lineno} in {frame.name}"
    if kind is not None:
        yield f"{kind.__name__}: {value}"
