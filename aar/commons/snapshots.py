"""Snapshots of the code store, as data."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from aar.commons.foreign import Foreign
from aar.text import checked_line, checked_text

AUTHOR_CHARACTERS = 64
MESSAGE_BYTES = 16 * 1024


def _checked_author(author: str) -> str:
    if author != author.strip() or set(author) & set("<>"):
        raise ValueError('has blanks around it, or "<" or ">"')
    return checked_line(author, AUTHOR_CHARACTERS)


def _checked_message(message: str) -> str:
    if not message.strip():
        raise ValueError("is empty; say in a line what the snapshot is")
    return checked_text(message.strip(), MESSAGE_BYTES)


class SnapshotDraft(BaseModel):
    """What an author says about files: the snapshot they were built on, and a message (blanks around it removed)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    author: Annotated[str, AfterValidator(_checked_author)]
    parent: str | None
    message: Annotated[str, AfterValidator(_checked_message)]


class Snapshot(BaseModel):
    """A published state of a workspace. `id` has 40 hex digits, `time` is in whole seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: str
    parent: str | None
    message: Foreign
    id: str
    time: float
