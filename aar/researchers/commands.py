"""What people ask of researchers while a campaign runs, or before it goes on: one durable list of wishes.

Whoever may write the campaign's folder may steer it. A wish is on disk when it is acknowledged; each researcher takes
up its own at its next turn, and the driver notes every one in the campaign's record.

What people want of a researcher, as it is told to the researcher: directions, messages.

Protected: a message from people begins with the researcher's mark, which is drawn by the system, told to this
researcher alone, kept where no sandbox sees it, and hidden in whatever its tools answer. So nobody who writes posts,
notes, files or outputs can imitate it.
Not protected: a model that takes something like its mark for its mark.
"""

import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from aar.commons.quoting import new_mark
from aar.config import CampaignConfig, ResearcherConfig
from aar.errors import CampaignError, ConfigError
from aar.researchers.directions import read_direction
from aar.researchers.prompts import fill, read_prompt
from aar.storage import Connections, select, storage_errors, transaction
from aar.text import checked_line, checked_text

FILE = "steering.sqlite"
MOST_BYTES = 32 * 1024
Action = Literal["message", "pause", "resume", "stop", "direction", "add"]
DesiredState = Literal["working", "paused", "stopped"]
_STANDINGS: dict[Action, DesiredState] = {"pause": "paused", "resume": "working", "stop": "stopped"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS wishes (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, by TEXT NOT NULL, researcher TEXT NOT NULL, action TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class OperatorCommand:
    """What somebody asked of a researcher. `text`: a message, a direction, or the JSON of a researcher to add."""

    number: int
    time: float
    by: str
    researcher: str
    action: Action
    text: str

    def describe(self) -> str:
        """In one line, for the record."""
        said = f": {' '.join(self.text.split())[:200]}" if self.text and self.action != "add" else ""
        return f"{self.by} asks: {self.action} {self.researcher}{said}"


class CommandQueue:
    """The wishes of the campaign in `folder`, for any thread. Raises StorageError when its database cannot be used."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = Connections(folder / FILE, _SCHEMA, read_only=read_only)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def ask(self, by: str, researcher: str, action: Action, text: str = "") -> OperatorCommand:
        """Add a wish. Raises CampaignError when it cannot be one."""
        if action not in get_args(Action):
            raise CampaignError(f"{action!r} cannot be asked of a researcher; {', '.join(get_args(Action))} can")
        try:
            checked_line(by, 64)
            checked_text(text, MOST_BYTES)
        except ValueError as error:
            raise CampaignError(f"the text {error}") from None
        row = {"time": time.time(), "by": by, "researcher": researcher, "action": action, "text": text}
        with transaction(self._db.get()) as db:
            sql = f"INSERT INTO wishes ({', '.join(row)}) VALUES (:time, :by, :researcher, :action, :text)"
            number = db.execute(f"{sql} RETURNING number", row).fetchone()["number"]
        return OperatorCommand(number, **row)  # type: ignore[arg-type]

    def commands(self, after: int = 0, researcher: str | None = None) -> list[OperatorCommand]:
        """Wishes with a number above `after`, of one researcher or of all, oldest first."""
        sql = "SELECT * FROM wishes WHERE number > ? AND (? IS NULL OR researcher = ?) ORDER BY number"
        return [OperatorCommand(**dict(row)) for row in select(self._db.get(), sql, after, researcher, researcher)]


def desired_state(commands: Sequence[OperatorCommand]) -> DesiredState:
    """Whether a researcher of whom this was asked is to work."""
    asked: list[DesiredState] = [_STANDINGS[command.action] for command in commands if command.action in _STANDINGS]
    return asked[-1] if asked else "working"


def active_researchers(config: CampaignConfig, commands: Sequence[OperatorCommand]) -> list[ResearcherConfig]:
    """Every researcher of a campaign: the configured ones and those that were added, with their latest directions."""
    researchers = {one.name: one for one in config.researchers}
    for command in commands:
        if command.action == "add" and command.researcher not in researchers:
            researchers[command.researcher] = ResearcherConfig.model_validate_json(command.text)
        elif command.action == "direction" and command.researcher in researchers:
            changed = {"direction": command.text or None}
            researchers[command.researcher] = researchers[command.researcher].model_copy(update=changed)
    return list(researchers.values())


def new_researcher(**settings: Any) -> ResearcherConfig:
    """The configuration of a researcher to add. Raises CampaignError when it is none."""
    try:
        return ResearcherConfig.model_validate(settings)
    except ValidationError as error:
        problems = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise CampaignError(f"no such researcher can be added: {problems}") from None


def render_direction(direction: str | None) -> str:
    """A direction as it is told, or that there is none. Raises ConfigError when it cannot be read."""
    _, text = read_direction(direction)
    return fill(read_prompt("directed"), direction=text) if text else read_prompt("undirected").strip()


def render_later_direction(direction: str | None) -> str:
    """As `render_direction`, for a researcher that works already, whom a file that is gone must not end."""
    try:
        return render_direction(direction)
    except ConfigError as error:
        return f"(The direction cannot be read any more: {error}. Go on as you see fit.)"


def render_command(command: OperatorCommand, mark: str) -> str:
    """What a person asked for, with the mark that says so."""
    if command.action == "direction":
        told = render_later_direction(command.text or None)
        return f"[{mark}] {command.by}, a person who runs this campaign, gives you a new direction:\n{told}"
    return f"[{mark}] message from {command.by}, a person who runs this campaign:\n{command.text}"


def render_platform_note(text: str, mark: str) -> str:
    """What the platform says by itself, other than in answer to a call."""
    return f"[{mark}] from the platform:\n{text}"


def mark_of(folder: Path, researcher: str) -> str:
    """The mark of a researcher of the campaign in `folder`; drawn when it is first asked for, and kept."""
    file = folder / "researchers" / researcher / "mark"
    with storage_errors(file):
        if not file.exists():
            _draw(file)
        return file.read_text()


def _draw(file: Path) -> None:
    """Several processes may do so at once: the first one's mark holds, and it is whole as soon as it is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_name(f"mark.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(new_mark())
        with suppress(FileExistsError):
            os.link(staged, file)
    finally:
        staged.unlink(missing_ok=True)


def render_mark(mark: str) -> str:
    """What a researcher is told of its mark."""
    return fill(read_prompt("people"), mark=mark)
