"""What people ask of researchers while a campaign runs, or before it goes on: one durable list of wishes.

Whoever may write the campaign's folder may steer it. A wish is on disk when it is acknowledged; each researcher takes
up its own at its next turn, and the driver notes every one in the campaign's record.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from aar.config import CampaignConfig, ResearcherConfig
from aar.database import Connections, select, transaction
from aar.errors import CampaignError
from aar.text import checked_line, checked_text

FILE = "steering.sqlite"
MOST_BYTES = 32 * 1024
Action = Literal["message", "pause", "resume", "stop", "direction", "add"]
Standing = Literal["working", "paused", "stopped"]
_STANDINGS: dict[Action, Standing] = {"pause": "paused", "resume": "working", "stop": "stopped"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS wishes (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, by TEXT NOT NULL, researcher TEXT NOT NULL, action TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Wish:
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


class Steering:
    """The wishes of the campaign in `folder`, for any thread. Raises StorageError when its database cannot be used."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._db = Connections(folder / FILE, _SCHEMA, read_only=read_only)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def ask(self, by: str, researcher: str, action: Action, text: str = "") -> Wish:
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
        return Wish(number, **row)  # type: ignore[arg-type]

    def wishes(self, after: int = 0, researcher: str | None = None) -> list[Wish]:
        """Wishes with a number above `after`, of one researcher or of all, oldest first."""
        sql = "SELECT * FROM wishes WHERE number > ? AND (? IS NULL OR researcher = ?) ORDER BY number"
        return [Wish(**dict(row)) for row in select(self._db.get(), sql, after, researcher, researcher)]


def standing(wishes: Sequence[Wish]) -> Standing:
    """Whether a researcher of whom this was asked is to work."""
    asked: list[Standing] = [_STANDINGS[wish.action] for wish in wishes if wish.action in _STANDINGS]
    return asked[-1] if asked else "working"


def roster(config: CampaignConfig, wishes: Sequence[Wish]) -> list[ResearcherConfig]:
    """Every researcher of a campaign: the configured ones and those that were added, with their latest directions."""
    researchers = {one.name: one for one in config.researchers}
    for wish in wishes:
        if wish.action == "add" and wish.researcher not in researchers:
            researchers[wish.researcher] = ResearcherConfig.model_validate_json(wish.text)
        elif wish.action == "direction" and wish.researcher in researchers:
            changed = {"direction": wish.text or None}
            researchers[wish.researcher] = researchers[wish.researcher].model_copy(update=changed)
    return list(researchers.values())


def new_researcher(**settings: Any) -> ResearcherConfig:
    """The configuration of a researcher to add. Raises CampaignError when it is none."""
    try:
        return ResearcherConfig.model_validate(settings)
    except ValidationError as error:
        problems = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
        raise CampaignError(f"no such researcher can be added: {problems}") from None
