"""Operator commands for the researchers of a campaign, such as messages, pauses and directions, in one durable queue.

Anybody who can write to the campaign's folder can steer it. A command is on disk when it is acknowledged. Each
researcher applies its own commands at its next turn, and the driver records every command in the campaign's event log.

Protected: an operator's message begins with the researcher's mark. The mark is random, known to this researcher alone,
stored where no sandbox sees it, and removed from every answer of a tool. So nobody who writes posts, notes, files or
outputs can imitate it.
Not protected: a model that mistakes something similar for its mark.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from aar.commons.quoting import new_mark
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import CampaignError
from aar.storage import Connections, select, storage_errors, transaction, write_atomic
from aar.text import checked_line, checked_text

FILE = "commands.sqlite"
VERSION = 2
MOST_BYTES = 32 * 1024
Action = Literal["message", "pause", "resume", "stop", "direction", "add"]
DesiredState = Literal["working", "paused", "stopped"]
_STATES: dict[Action, DesiredState] = {"pause": "paused", "resume": "working", "stop": "stopped"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, by TEXT NOT NULL, researcher TEXT NOT NULL, action TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class OperatorCommand:
    """A command to a researcher. `text`: a message, a direction, or the JSON of a researcher to add."""

    number: int
    time: float
    by: str
    researcher: str
    action: Action
    text: str

    def describe(self) -> str:
        """Describe it in one line, for the event log."""
        text = f": {' '.join(self.text.split())[:200]}" if self.text and self.action != "add" else ""
        return f"{self.by} asks: {self.action} {self.researcher}{text}"


class CommandQueue:
    """The commands of the campaign in `folder`, for any thread. Raises StorageError if the database is unusable."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = Connections(folder / FILE, _SCHEMA, version=VERSION, read_only=read_only)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def ask(self, by: str, researcher: str, action: Action, text: str = "") -> OperatorCommand:
        """Add a command. Raises CampaignError if it is not valid."""
        if action not in get_args(Action):
            raise CampaignError(f"unknown action {action!r}; expected one of: {', '.join(get_args(Action))}")
        try:
            checked_line(by, 64)
            checked_text(text, MOST_BYTES)
        except ValueError as error:
            raise CampaignError(f"the text {error}") from None
        row = {"time": time.time(), "by": by, "researcher": researcher, "action": action, "text": text}
        with transaction(self._db.get()) as db:
            sql = f"INSERT INTO commands ({', '.join(row)}) VALUES (:time, :by, :researcher, :action, :text)"
            number = db.execute(f"{sql} RETURNING number", row).fetchone()["number"]
        return OperatorCommand(number, **row)  # type: ignore[arg-type]

    def commands(self, after: int = 0, researcher: str | None = None) -> list[OperatorCommand]:
        """Return commands with a number above `after`, for one researcher or for all, oldest first."""
        sql = "SELECT * FROM commands WHERE number > ? AND (? IS NULL OR researcher = ?) ORDER BY number"
        return [OperatorCommand(**dict(row)) for row in select(self._db.get(), sql, after, researcher, researcher)]


def desired_state(commands: Sequence[OperatorCommand]) -> DesiredState:
    """Return the state that these commands ask a researcher to be in."""
    states: list[DesiredState] = [_STATES[command.action] for command in commands if command.action in _STATES]
    return states[-1] if states else "working"


def active_researchers(config: CampaignConfig, commands: Sequence[OperatorCommand]) -> list[ResearcherConfig]:
    """Return every researcher of a campaign, configured or added, with its latest direction."""
    researchers = {researcher.name: researcher for researcher in config.researchers}
    for command in commands:
        if command.action == "add" and command.researcher not in researchers:
            researchers[command.researcher] = ResearcherConfig.model_validate_json(command.text)
        elif command.action == "direction" and command.researcher in researchers:
            changed = {"direction": command.text or None}
            researchers[command.researcher] = researchers[command.researcher].model_copy(update=changed)
    return list(researchers.values())


def new_researcher(**settings: Any) -> ResearcherConfig:
    """Return the configuration of a researcher to add. Raises CampaignError if it is not valid."""
    try:
        return ResearcherConfig.model_validate(settings)
    except ValidationError as error:
        problems = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise CampaignError(f"the researcher cannot be added: {problems}") from None


def mark_of(folder: Path, researcher: str) -> str:
    """Return the mark of a researcher of the campaign in `folder`. It is drawn at first use and then stored."""
    file = folder / "researchers" / researcher / "mark"
    with storage_errors(file):
        if not file.exists():
            _draw(file)
        return file.read_text()


def _draw(file: Path) -> None:
    """Draw a mark. If several processes do so at once, the first one wins. The file is complete once it exists."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        write_atomic(file, new_mark(), mode=0o600, exclusive=True)
