"""The commons as a Ray actor: one by name, the same errors, and everything still there after a kill."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from aar.budget import StorageQuota
from aar.budget.quota import MIB
from aar.commons.actor import Commons, start_commons
from aar.commons.code_store import CodeStore
from aar.commons.forum import Forum
from aar.errors import CodeStoreError, ForumError, QuotaError, StorageError

FILES = {"method.py": b"def supervise(lab): ..."}


@pytest.fixture
def commons(ray_session: None, tmp_path: Path) -> Iterator[Any]:
    handle = start_commons(tmp_path, namespace=str(tmp_path), accounts=tmp_path)
    yield handle
    ray.kill(handle)


def test_a_plain_commons_needs_no_ray(tmp_path: Path) -> None:
    commons = Commons(str(tmp_path), str(tmp_path))
    made = commons.publish("ada", FILES, "first", None, key="1")
    commons.post("ada", "result", "it works", key="1", snapshot=made.id, data={"pgr": 0.4})
    assert commons.checkout(commons.search("works")[0].snapshot or "") == FILES
    assert (repr(commons), commons.ping()) == ("commons", str(tmp_path))


def test_what_exceeds_an_authors_storage_is_refused_before_it_is_written_and_may_be_repeated(tmp_path: Path) -> None:
    commons, accounts = Commons(str(tmp_path), str(tmp_path)), StorageQuota(tmp_path)
    accounts.allow("ada", MIB // 8)
    large = {"weights.bin": bytes(MIB // 64)}
    with pytest.raises(QuotaError, match=r"for ada is full \(snapshots"):
        commons.publish("ada", large, "large", None, key="1")
    with pytest.raises(QuotaError, match=r"for ada is full \(forum"):
        commons.post("ada", "insight", "long", "x" * 2000, key="1")
    assert commons.log() == [] and commons.posts() == []
    accounts.allow("ada", MIB)
    assert commons.checkout(commons.publish("ada", large, "large", None, key="1").id) == large
    assert commons.post("ada", "insight", "long", "x" * 2000, key="1").id == 1


def test_a_post_that_is_refused_takes_no_storage(tmp_path: Path) -> None:
    commons = Commons(str(tmp_path), str(tmp_path))
    with pytest.raises(ForumError, match="there is no post 9"):
        commons.post("ada", "insight", "a reply", key="1", reply_to=9)
    with pytest.raises(CodeStoreError, match="message is empty"):
        commons.publish("ada", FILES, " ", None, key="1")
    held = StorageQuota(tmp_path).held("ada")
    assert held["forum"].bytes == held["snapshots"].bytes == 0


def test_every_call_works_through_the_actor(commons: Any, tmp_path: Path) -> None:
    first = ray.get(commons.publish.remote("ada", FILES, "first", None, key="1"))
    second = ray.get(commons.publish.remote("bob", {"m.py": b"2"}, "second", first.id[:8], key="2"))
    assert ray.get(commons.log.remote()) == [second, first]
    assert ray.get(commons.snapshot.remote(first.id[:7])) == first
    assert ray.get(commons.resolve.remote(second.id[:7])) == second.id
    assert ray.get(commons.checkout.remote(first.id)) == FILES
    assert "+2" in ray.get(commons.diff.remote(first.id, second.id)).text
    post = ray.get(commons.post.remote("ada", "insight", "soft labels help", key="1", snapshot=first.id))
    reply = ray.get(commons.post.remote("bob", "insight", "not for me", "why", key="2", reply_to=post.id))
    assert ray.get(commons.vote.remote(post.id, "bob", 1, key="3")) == 1
    assert ray.get(commons.get.remote(post.id)).votes == 1
    assert ray.get(commons.replies.remote(post.id)) == [reply]
    assert [found.id for found in ray.get(commons.posts.remote(newest_first=True))] == [reply.id, post.id]
    assert [found.id for found in ray.get(commons.search.remote("label"))] == [post.id]


def test_errors_reach_the_caller_as_what_they_are(commons: Any) -> None:
    with pytest.raises(ForumError, match="there is no post 9"):
        ray.get(commons.get.remote(9))
    with pytest.raises(CodeStoreError, match="no snapshot"):
        ray.get(commons.checkout.remote("0" * 40))


def test_starting_twice_gives_the_same_actor(commons: Any, tmp_path: Path) -> None:
    again = start_commons(tmp_path, str(tmp_path), tmp_path)
    assert again == commons == ray.get_actor("commons", namespace=str(tmp_path))
    with pytest.raises(StorageError, match="its commons serves"):
        start_commons(tmp_path / "other", str(tmp_path), tmp_path)


def test_a_folder_that_cannot_be_used_is_reported_at_the_start(ray_session: None, tmp_path: Path) -> None:
    (tmp_path / "forum.sqlite").write_text("no database " * 100)
    with pytest.raises(StorageError, match=r"forum\.sqlite.*damaged or not a SQLite database"):
        start_commons(tmp_path, str(tmp_path), tmp_path)


def test_a_commons_killed_while_posts_stream_in_has_everything_exactly_once(commons: Any, tmp_path: Path) -> None:
    posts, snapshots = [], []
    for n in range(90):
        if n % 30 == 0:
            pid = ray.get(commons.__ray_call__.remote(lambda self: os.getpid()))
        posts.append(commons.post.remote("ada", "result", f"number {n}", key=f"{n}"))
        if n % 5 == 0:
            snapshots.append(commons.publish.remote("ada", {"n": b"%d" % n}, f"number {n}", None, key=f"{n}"))
        if n % 30 == 20:
            ray.get(posts[n - 10])
            os.kill(pid, signal.SIGKILL)  # with the next posts on their way
    posted, published = ray.get(posts), ray.get(snapshots)
    forum, code = Forum(tmp_path / "forum.sqlite", read_only=True), CodeStore(tmp_path / "code.git", read_only=True)
    assert forum.posts(limit=1000) == sorted(posted, key=lambda post: int(post.id))
    assert {post.title.text for post in posted} == {f"number {n}" for n in range(90)}
    assert sorted(snapshot.id for snapshot in code.log(1000)) == sorted(snapshot.id for snapshot in published)
    assert len(published) == 18


def test_writes_are_logged_by_id_and_size_without_their_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    commons = Commons(str(tmp_path), str(tmp_path))
    with caplog.at_level("INFO", logger="aar.commons.actor"):
        made = commons.publish("ada", FILES, "words of its own", None, key="1")
        post = commons.post("ada", "result", "words of its own", key="1", snapshot=made.id)
        commons.vote(post.id, "bob", -1, key="2")
        commons.checkout(made.id)
    assert [record.getMessage() for record in caplog.records] == [
        f"snapshot {made.id[:10]} by ada: 1 files, {len(FILES['method.py']) + 9 + 16 + 512} bytes",
        f"post {post.id} by ada: result, {512 + 16 + len(json.dumps({'snapshot': made.id}))} bytes",
        f"vote on post {post.id} by bob: -1, now -1",
        f"snapshot {made.id[:10]}: checked out, 1 files",
    ]
