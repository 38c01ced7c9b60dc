"""Entries of a transcript, as data, and their form as a line of JSON.

Long texts are stored beside the lines, under the SHA-256 of their content, so that lines stay readable and a repeated
text is stored once. The places of values that were moved out are written beside the data and never inside it, so
nothing that a model writes can pass for a reference.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

VERSION = 2
"""Of a line's form, kinds and data; in every line. Raised with each change that older readers would misread."""

Kind = Literal["start", "message", "usage", "call", "result", "api_failure", "command", "reset", "end"]
"""start: a process resumed the researcher. message: one message of the conversation. usage: the cost of a reply.
call, result: a tool call that begins, and its answer. api_failure: a request that failed. command: one of an operator,
passed on. reset: the conversation starts from scratch. end: the researcher has ended, and why."""

Place = list[str | int]
"""Path to a value in an entry's data: keys and indices from the outside in."""

LONG_CHARACTERS = 8192
_HEAD = re.compile(rb'\{"version": %d, "number": \d+, "time": [0-9.e+-]+, "kind": "(\w+)"' % VERSION)


@dataclass(frozen=True)
class TranscriptEntry:
    """Something that happened. `number` counts from 1 without gaps, `time` is in seconds since 1970."""

    number: int
    time: float
    kind: Kind
    data: dict[str, Any]


class OtherVersion(Exception):
    """A line that another version of aar wrote."""


def to_line(entry: TranscriptEntry, keep: Callable[[str], str]) -> bytes:
    """The line for an entry; `keep` stores a long text and returns its digest.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        data = json.loads(json.dumps(entry.data, allow_nan=False))
        places = [place for place, text in _texts(data, []) if len(text) > LONG_CHARACTERS]
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    for place in places:
        _replace(data, place, keep)
    record = {"version": VERSION, "number": entry.number, "time": entry.time, "kind": entry.kind, "data": data}
    return json.dumps(record | ({"kept": places} if places else {}), ensure_ascii=True).encode() + b"\n"


def kind_of(line: bytes) -> str | None:
    """The kind of a line's entry, without parsing its data; None if it is not a line of this version."""
    head = _HEAD.match(line)
    return head[1].decode() if head else None


def from_line(line: bytes, fetch: Callable[[str], str]) -> TranscriptEntry:
    """The entry of a line; `fetch` returns the text with a digest.

    Raises:
        OtherVersion: another version of aar wrote it.
        ValueError: it is not a line of a transcript.
    """
    try:
        record = json.loads(line)
        if (version := record.get("version", 1)) != VERSION:
            raise OtherVersion(f"version {version}")
        for place in record.get("kept", []):
            _replace(record["data"], place, fetch)
        return TranscriptEntry(record["number"], record["time"], record["kind"], record["data"])
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not an entry of a transcript: {error}") from None


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
