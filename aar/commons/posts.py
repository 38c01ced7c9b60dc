"""Posts of the forum, as data."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aar.commons.foreign import Foreign
from aar.text import checked_line, checked_text

Kind = Literal["result", "hypothesis", "insight", "error"]

TITLE_CHARACTERS = 200
NAME_CHARACTERS = 200
BODY_BYTES = 64 * 1024
DATA_BYTES = 64 * 1024
DATA_LEVELS = 32
LARGEST_ID = 2**63 - 1


def _checked_data(data: dict[str, Any]) -> dict[str, Any]:
    """`data` as it comes back from JSON. Raises ValueError: no JSON, too large, too deep, unwanted text."""
    try:
        written = json.dumps(data, allow_nan=False, ensure_ascii=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from None
    read: dict[str, Any] = json.loads(written)
    for text in _strings(read):
        checked_text(text, DATA_BYTES)
    checked_text(written, DATA_BYTES)
    return read


def _strings(data: dict[str, Any]) -> Iterator[str]:
    level: list[Any] = [data]
    for _ in range(DATA_LEVELS + 1):
        yield from (value for value in level if isinstance(value, str))
        level = [inner for value in level for inner in _parts(value)]
    if level:
        raise ValueError(f"is nested deeper than {DATA_LEVELS} levels")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else []


@dataclass(frozen=True)
class NamedFamily:
    """The family of methods that a result was said to belong to, in its author's spelling, and when."""

    time: float
    family: Foreign


_Name = Annotated[str, AfterValidator(partial(checked_line, limit=NAME_CHARACTERS))]
_PostId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class Draft(BaseModel):
    """What an author hands in. `experiment` and `snapshot` name what the post is about, `data` is for programs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    author: _Name
    kind: Kind
    title: Annotated[str, AfterValidator(partial(checked_line, limit=TITLE_CHARACTERS))]
    body: Annotated[str, AfterValidator(partial(checked_text, limit=BODY_BYTES))] = ""
    experiment: _Name | None = None
    snapshot: _Name | None = None
    reply_to: _PostId | None = None
    data: Annotated[dict[str, Any], AfterValidator(_checked_data)] = {}


class Post(BaseModel):
    """A post in the forum. `time` is in seconds since 1970, `votes` the sum of the votes of all authors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: _PostId
    time: float
    votes: int
    author: str
    kind: Kind
    title: Foreign
    body: Foreign = Foreign("")
    experiment: str | None = None
    snapshot: str | None = None
    reply_to: _PostId | None = None
    data: dict[str, Any] = {}
