"""Entries of a transcript, as data, and how one becomes a line of JSON.

Long texts are kept beside the lines, under the SHA-256 of their content, so that lines stay readable and a text that
comes up again is kept once. Which values were moved out is written beside the data and never inside it: nothing that a
model writes can pass for a reference.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["start", "message", "usage", "call", "result", "api_failure", "command", "reset", "end"]
"""start: a process took the researcher up. message: one message of the conversation. usage: what a reply cost.
call, result: a tool call that begins, and its answer. api_failure: a request that failed. command: what a person asked
for. reset: the conversation is restarted. end: the researcher has ended, and why."""

Place = list[str | int]
"""Where a value lies in an entry's data: keys and positions from the outside in."""

LONG_CHARACTERS = 8192
_HEAD = re.compile(rb'\{"number": \d+, "time": [0-9.e+-]+, "kind": "(\w+)"')


@dataclass(frozen=True)
class TranscriptEntry:
    """Something that happened. `number` counts from 1 without gaps, `time` is in seconds since 1970."""

    number: int
    time: float
    kind: Kind
    data: dict[str, Any]


def to_line(entry: TranscriptEntry, keep: Callable[[str], str]) -> bytes:
    """The line for an entry; `keep` stores a long text and returns its digest.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        data = json.loads(json.dumps(entry.data, allow_nan=False))
        places = [place for place, text in _texts(data, []) if len(text) > LONG_CHARACTERS]
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None
    for place in places:
        _replace(data, place, keep)
    record = {"number": entry.number, "time": entry.time, "kind": entry.kind, "data": data}
    return json.dumps(record | ({"kept": places} if places else {}), ensure_ascii=True).encode() + b"\n"


def kind_of(line: bytes) -> str | None:
    """The kind of a line's entry, told without its data; None: it is no line of a transcript."""
    found = _HEAD.match(line)
    return found[1].decode() if found else None


def from_line(line: bytes, fetch: Callable[[str], str]) -> TranscriptEntry:
    """The entry of a line; `fetch` returns the text with a digest. Raises ValueError: it is no line of a transcript."""
    try:
        record = json.loads(line)
        for place in record.get("kept", []):
            _replace(record["data"], place, fetch)
        return TranscriptEntry(record["number"], record["time"], record["kind"], record["data"])
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no entry of a transcript: {error}") from None


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, [*place, key])


def _replace(data: Any, place: Place, change: Callable[[str], str]) -> None:
    *outer, last = place
    for key in outer:
        data = data[key]
    data[last] = change(data[last])
