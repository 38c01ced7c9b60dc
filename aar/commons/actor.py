"""The commons: forum and code store in one named, detached Ray actor.

The actor keeps nothing in memory: when it is killed, Ray restarts it and it serves what is on disk. Ray then repeats
calls that were under way, so they may run twice; their idempotency keys make that harmless.

Not protected: the author's name. A caller can post under any name; only our own actors can call, sandboxed code cannot.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError

from aar import metrics
from aar.budget import StorageQuota
from aar.commons import CODE_FOLDER, FORUM_FILE
from aar.commons.code_store import CodeStore, Snapshot
from aar.commons.foreign import Foreign
from aar.commons.forum import Forum, Kind, Links, NamedFamily, Post
from aar.errors import StorageError
from aar.ray_utils import COMMONS, log_to_ray, start_actor
from aar.storage import storage_errors

ROW_BYTES = 512
"""The storage that a post, vote or snapshot takes in addition to its texts and files."""

log = logging.getLogger(__name__)


class Commons:
    """Forum and code store in `folder`; every method is that of Forum or CodeStore.

    Storage is reserved in the author's account, in the folder `accounts`, before anything is written. The methods raise
    QuotaError where that is refused.
    """

    def __init__(self, folder: str, accounts: str) -> None:
        log_to_ray()
        self._folder = folder
        with storage_errors(Path(folder)):
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._code = CodeStore(Path(folder, CODE_FOLDER))  # first: it waits until a previous actor's git has ended
        self._forum = Forum(Path(folder, FORUM_FILE))
        self._accounts = StorageQuota(Path(accounts))

    def __repr__(self) -> str:
        return COMMONS

    def ping(self) -> str:
        """Return the folder that this actor serves."""
        return self._folder

    def post(self, author: str, kind: Kind, title: str, body: str = "", *, key: str, **links: Unpack[Links]) -> Post:
        """Add a post."""
        size = ROW_BYTES + sum(len(text.encode(errors="replace")) for text in (title, body, json.dumps(links)))
        with self._accounts.held_for(author, "forum", f"post/{key}", size):
            post = self._forum.post(author, kind, title, body, key=key, **links)
        log.info("post %d by %s: %s, %d bytes", post.id, author, kind, size)
        metrics.POSTS.add(kind=kind)
        return post

    def vote(self, post: int, author: str, value: int, *, key: str) -> int:
        """Vote on a post; return the sum of its votes."""
        with self._accounts.held_for(author, "forum", f"vote/{key}", ROW_BYTES):
            votes = self._forum.vote(post, author, value, key=key)
        log.info("vote on post %d by %s: %+d, now %d", post, author, value, votes)
        return votes

    def get(self, post: int) -> Post:
        """Return one post."""
        return self._forum.get(post)

    def posts(
        self,
        kind: Kind | None = None,
        author: str | None = None,
        after: int = 0,
        limit: int = 50,
        *,
        newest_first: bool = False,
    ) -> list[Post]:
        """Return posts with a number above `after`."""
        return self._forum.posts(kind, author, after, limit, newest_first=newest_first)

    def named_families(self) -> list[NamedFamily]:
        """The family that each result names, oldest first."""
        return self._forum.named_families()

    def replies(self, post: int) -> list[Post]:
        """Return the direct replies to a post."""
        return self._forum.replies(post)

    def search(self, query: str, limit: int = 20) -> list[Post]:
        """Return posts that have every word of `query`."""
        return self._forum.search(query, limit)

    def publish(
        self, author: str, files: Mapping[str, bytes], message: str, parent: str | None, *, key: str
    ) -> Snapshot:
        """Store files as a snapshot."""
        size = ROW_BYTES + len(message) + sum(len(name) + len(content) for name, content in files.items())
        with self._accounts.held_for(author, "snapshots", key, size):
            snapshot = self._code.publish(author, files, message, parent, key=key)
        log.info("snapshot %.10s by %s: %d files, %d bytes", snapshot.id, author, len(files), size)
        return snapshot

    def checkout(self, snapshot: str) -> dict[str, bytes]:
        """Return the files of a snapshot."""
        files = self._code.checkout(snapshot)
        log.info("snapshot %.10s: checked out, %d files", snapshot, len(files))
        return files

    def diff(self, a: str, b: str) -> Foreign:
        """Return the changes between two snapshots."""
        return self._code.diff(a, b)

    def log(self, limit: int = 50) -> list[Snapshot]:
        """Return the last snapshots, newest first."""
        return self._code.log(limit)

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return author, parent, message and time of a snapshot."""
        return self._code.snapshot(snapshot)

    def resolve(self, snapshot: str) -> str:
        """Return the full id of a shortened one."""
        return self._code.resolve(snapshot)


def start_commons(folder: Path, namespace: str, accounts: Path) -> ActorHandle[Any]:
    """Return the commons of a Ray namespace, ready to be called; start it if it is not running.

    Args:
        accounts: the folder with the researchers' storage accounts (aar.budget.quota).

    Raises:
        StorageError: the folder cannot be used, or the namespace's commons serves another folder.
    """
    places = str(folder.resolve()), str(accounts.resolve())
    commons = start_actor(Commons, COMMONS, namespace, *places, lifetime="detached")
    try:
        served: Any = ray.get(commons.ping.remote())
    except ActorDiedError as error:
        raise StorageError(f"the commons could not start in {folder}: {str(error).strip().splitlines()[-1]}") from error
    if served != str(folder.resolve()):
        raise StorageError(f"{namespace}: its commons serves {served}, not {folder}; stop that campaign first")
    return commons
