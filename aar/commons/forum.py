"""The forum: typed posts with replies, votes and full-text search, in one SQLite file.

A post or vote that was acknowledged survives a kill at any moment. Each carries an idempotency key: the same key again
returns the first answer and changes nothing, so a caller that saw an error may simply call again. Posts are never
changed or removed. The caller names the author, so callers must not let an agent choose that name.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Unpack

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from aar.commons.foreign import Foreign
from aar.errors import ForumError
from aar.storage import open_database, select, transaction
from aar.text import checked_line, checked_text, explain

Kind = Literal["result", "hypothesis", "insight", "error"]

TITLE_CHARACTERS = 200
NAME_CHARACTERS = 200
BODY_BYTES = 64 * 1024
DATA_BYTES = 64 * 1024
DATA_LEVELS = 32
LARGEST_ID = 2**63 - 1


def _checked_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return `data` after a round trip through JSON.

    Raises ValueError when it is not JSON, too large, nested too deeply, or holds text that is not allowed.
    """
    try:
        encoded = json.dumps(data, allow_nan=False, ensure_ascii=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from None
    decoded: dict[str, Any] = json.loads(encoded)
    for text in _strings(decoded):
        checked_text(text, DATA_BYTES)
    checked_text(encoded, DATA_BYTES)
    return decoded


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
    """The family of methods to which a result, the post with this number, assigns itself, in its author's spelling."""

    post: int
    time: float
    family: Foreign


_Name = Annotated[str, AfterValidator(partial(checked_line, limit=NAME_CHARACTERS))]
_PostId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class Draft(BaseModel):
    """A post as its author submits it. `experiment` and `snapshot`: what it is about; `data`: for programs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    author: _Name
    kind: Kind
    title: Annotated[str, AfterValidator(partial(checked_line, limit=TITLE_CHARACTERS))]
    body: Annotated[str, AfterValidator(partial(checked_text, limit=BODY_BYTES))] = ""
    experiment: _Name | None = None
    snapshot: _Name | None = None
    reply_to: _PostId | None = None
    data: Annotated[dict[str, Any], AfterValidator(_checked_data)] = {}


class Links(TypedDict, total=False):
    """The fields of `Draft` that relate a post to other things, and its data for programs."""

    experiment: str | None
    snapshot: str | None
    reply_to: int | None
    data: dict[str, Any]


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


KEY_CHARACTERS = 200
QUERY_CHARACTERS = 500
PAGE_POSTS = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS posts (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, author TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL,
    body TEXT NOT NULL, experiment TEXT, snapshot TEXT, reply_to INTEGER REFERENCES posts(id), data TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS posts_by_thread ON posts(reply_to);
CREATE TABLE IF NOT EXISTS votes (
    post INTEGER NOT NULL REFERENCES posts(id), author TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (post, author)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, digest TEXT NOT NULL, answer INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    title, body, content='posts', content_rowid='id', tokenize='porter unicode61'
);
CREATE TRIGGER IF NOT EXISTS index_words AFTER INSERT ON posts BEGIN
    INSERT INTO words(rowid, title, body) VALUES (new.id, new.title, new.body);
END;
"""
_VOTES = "coalesce((SELECT sum(value) FROM votes WHERE post = posts.id), 0)"
_SELECT = f"SELECT posts.*, {_VOTES} AS votes FROM posts"


class Forum:
    """One forum. With `read_only` it only reads, while another process may write.

    Raises:
        StorageError: the file is missing (read-only) or cannot be used.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._database = open_database(path, _SCHEMA, read_only=read_only)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def post(
        self,
        author: str,
        kind: Kind,
        title: str,
        body: str = "",
        *,
        key: str,
        **links: Unpack[Links],
    ) -> Post:
        """Add a post, or a reply to one.

        Raises:
            ForumError: a field is out of bounds, `reply_to` does not exist, or `key` was used for something else.
        """
        try:
            draft = Draft(author=author, kind=kind, title=title, body=body, **links)
        except ValidationError as error:
            raise ForumError(f"the post is refused: {explain(error)}") from None
        number = self._once(key, draft.model_dump(), lambda: self._insert(draft))
        return self.get(number).model_copy(update={"votes": 0})  # as the first call answered

    def vote(self, post: int, author: str, value: int, *, key: str) -> int:
        """Vote -1, 0 or 1 on a post; an author's later vote replaces the earlier.

        Returns:
            The sum of the post's votes, after this one.

        Raises:
            ForumError: the post does not exist, the value is not allowed, or `key` was used for something else.
        """
        if type(value) is not int or value not in (-1, 0, 1):
            raise ForumError(f"a vote is -1, 0 or 1, not {value!r}")
        self._check_line("the author of a vote", author, KEY_CHARACTERS)
        call = {"vote": value, "post": post, "author": author}
        return self._once(key, call, lambda: self._set_vote(post, author, value))

    def get(self, post: int) -> Post:
        """Return the post with this number. Raises ForumError when it does not exist."""
        rows = select(self._database, f"{_SELECT} WHERE id = ?", post) if 0 < post <= LARGEST_ID else []
        if not rows:
            raise ForumError(f"there is no post {post}; list the posts to see their numbers")
        return _to_post(rows[0])

    def posts(
        self,
        kind: Kind | None = None,
        author: str | None = None,
        after: int = 0,
        limit: int = 50,
        *,
        newest_first: bool = False,
    ) -> list[Post]:
        """Return at most `limit` posts with a number above `after`, replies included: the oldest, or the newest."""
        order = "DESC" if newest_first else "ASC"
        where = "id > ? AND (? IS NULL OR kind = ?) AND (? IS NULL OR author = ?)"
        sql = f"{_SELECT} WHERE {where} ORDER BY id {order} LIMIT ?"
        after = min(max(after, 0), LARGEST_ID)
        return self._read(sql, after, kind, kind, author, author, _checked_limit(limit))

    def named_families(self, after: int = 0) -> list[NamedFamily]:
        """Return the family that each result with a number above `after` names in its data, oldest first."""
        family = "json_extract(data, '$.family')"
        where = f"id > ? AND kind = 'result' AND typeof({family}) = 'text'"
        sql = f"SELECT id, time, {family} FROM posts WHERE {where} ORDER BY id"
        return [NamedFamily(row[0], row[1], Foreign(row[2])) for row in select(self._database, sql, after)]

    def replies(self, post: int) -> list[Post]:
        """Return the direct replies to a post, oldest first. Raises ForumError when the post does not exist."""
        self.get(post)
        return self._read(f"{_SELECT} WHERE reply_to = ? ORDER BY id", post)

    def search(self, query: str, limit: int = 20) -> list[Post]:
        """Return posts that have every word of `query` in title or body, in any form of the word, best match first.

        The query has no syntax: every character in it is text.

        Raises:
            ForumError: the query is empty, too long, or has control characters.
        """
        self._check_line("the query", query, QUERY_CHARACTERS)
        words = " ".join('"' + word.replace('"', '""') + '"' for word in query.split())
        sql = f"{_SELECT} JOIN words ON words.rowid = posts.id WHERE words MATCH ? ORDER BY words.rank, id LIMIT ?"
        return self._read(sql, words, _checked_limit(limit))

    def _read(self, sql: str, *parameters: object) -> list[Post]:
        return [_to_post(row) for row in select(self._database, sql, *parameters)]

    def _once(self, key: str, call: dict[str, Any], write: Callable[[], int]) -> int:
        """Return the result of `write` from the first use of `key`; run `write` if this is the first use."""
        self._check_line("the idempotency key", key, KEY_CHARACTERS)
        digest = hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
        with transaction(self._database) as database:
            earlier = database.execute("SELECT digest, answer FROM calls WHERE key = ?", (key,)).fetchone()
            if earlier is None:
                answer = write()
                database.execute("INSERT INTO calls VALUES (?, ?, ?)", (key, digest, answer))
                return answer
        if earlier["digest"] != digest:
            raise ForumError(f'the key "{key}" was used before, for another content; use a new key for a new call')
        return int(earlier["answer"])

    def _insert(self, draft: Draft) -> int:
        if draft.reply_to is not None:
            self.get(draft.reply_to)
        row = draft.model_dump() | {"time": time.time(), "data": json.dumps(draft.data)}
        columns, marks = ", ".join(row), ", ".join(f":{column}" for column in row)
        inserted = self._database.execute(f"INSERT INTO posts({columns}) VALUES ({marks}) RETURNING id", row)
        return int(inserted.fetchone()["id"])

    def _set_vote(self, post: int, author: str, value: int) -> int:
        self.get(post)
        self._database.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?)", (post, author, value))
        return self.get(post).votes

    @staticmethod
    def _check_line(what: str, text: str, limit: int) -> None:
        try:
            checked_line(text, limit)
        except ValueError as error:
            raise ForumError(f"{what} {error}") from None


def _checked_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_POSTS:
        raise ForumError(f"the limit is 1 to {PAGE_POSTS} posts, not {limit}")
    return limit


def _to_post(row: sqlite3.Row) -> Post:
    return Post.model_validate({**row, "data": json.loads(row["data"])})
