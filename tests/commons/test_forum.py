"""The forum: posts, replies, votes and search."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aar.commons.forum import Forum, Post
from aar.errors import ForumError, StorageError


@pytest.fixture
def forum(tmp_path: Path) -> Iterator[Forum]:
    forum = Forum(tmp_path / "forum.sqlite")
    yield forum
    forum.close()


def post(forum: Forum, title: str = "Soft labels help", **fields: Any) -> Post:
    values: dict[str, Any] = {"author": "ada", "kind": "insight", "title": title, "key": f"post {title}"}
    return forum.post(**(values | fields))


def test_a_post_comes_back_with_everything_its_author_gave(forum: Forum) -> None:
    data = {"pgr": 0.41, "seeds": [1, 2], "by": {"é": None}}
    links: dict[str, Any] = {"experiment": "e-17", "snapshot": "ab" * 20, "data": data}
    made = post(forum, kind="result", body="two\nlines\tand a tab", **links)
    assert forum.get(made.id) == made
    assert (made.kind, made.body.text, made.votes, made.data) == ("result", "two\nlines\tand a tab", 0, data)


def test_posts_are_filtered_and_paged_by_number(forum: Forum) -> None:
    numbers = [post(forum, f"{n}", author=("ada", "bob")[n % 2], kind=("result", "error")[n // 3]).id for n in range(6)]
    assert [found.id for found in forum.posts(limit=4)] == numbers[:4]
    assert [found.id for found in forum.posts(after=numbers[3])] == numbers[4:]
    assert [found.id for found in forum.posts(limit=2, newest_first=True)] == [numbers[5], numbers[4]]
    assert [found.id for found in forum.posts(kind="error", author="bob")] == [numbers[3], numbers[5]]
    assert forum.posts(after=10**30) == []


def test_replies_belong_to_their_post(forum: Forum) -> None:
    first, other = post(forum), post(forum, "another")
    reply = post(forum, "I doubt it", author="bob", reply_to=first.id)
    assert forum.replies(first.id) == [reply]
    assert forum.replies(other.id) == []


def test_an_author_has_one_vote_per_post_and_the_later_replaces_the_earlier(forum: Forum) -> None:
    number = post(forum).id
    assert forum.vote(number, "bob", 1, key="1") == 1
    assert forum.vote(number, "eve", 1, key="2") == 2
    assert forum.vote(number, "bob", -1, key="3") == 0
    assert forum.vote(number, "eve", 0, key="4") == -1
    assert forum.get(number).votes == -1


def test_the_same_key_answers_as_before_and_changes_nothing(forum: Forum) -> None:
    made = post(forum)
    assert forum.vote(made.id, "bob", 1, key="v") == 1
    forum.vote(made.id, "eve", 1, key="w")
    assert post(forum) == made
    assert forum.vote(made.id, "bob", 1, key="v") == 1
    assert forum.get(made.id).votes == 2
    assert len(forum.posts()) == 1


def test_the_same_key_for_something_else_is_refused(forum: Forum) -> None:
    number = post(forum, key="k").id
    others: list[dict[str, Any]] = [{"body": "changed"}, {"author": "bob"}, {"data": {"a": 1}}]
    for fields in others:
        with pytest.raises(ForumError, match='key "k" was used before'):
            post(forum, key="k", **fields)
    with pytest.raises(ForumError, match="was used before"):
        forum.vote(number, "ada", 1, key="k")


def test_a_refused_call_does_not_use_up_its_key(forum: Forum) -> None:
    with pytest.raises(ForumError, match="there is no post 1"):
        post(forum, reply_to=1)
    assert post(forum).id == 1


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"title": "x" * 201}, "title has 201 characters"),
        ({"title": "two\nlines"}, "title has a line break"),
        ({"title": "  "}, "title is empty"),
        ({"title": "abc\u202efed"}, r"title has '\\u202e' at position 3, which is invisible"),
        ({"title": "a\u2028b"}, "title has .*invisible"),
        ({"title": "a\u200bb"}, "title has .*invisible"),
        ({"author": "ada\u3164"}, "author has .*invisible"),
        ({"experiment": "e7\U000e0031"}, "experiment has .*invisible"),
        ({"snapshot": "\u2067ab"}, "snapshot has .*invisible"),
        ({"body": "é" * 33_000}, "body has 66000 bytes"),
        ({"body": "red \x1b[31m"}, r"body has '\\x1b' at position 4"),
        ({"body": "nul \x00"}, "body has"),
        ({"body": "\ud800"}, "body has"),
        ({"kind": "gossip"}, "kind Input should be 'result'"),
        ({"author": ""}, "author is empty"),
        ({"author": "a\rb"}, "author has"),
        ({"experiment": "\n"}, "experiment is empty"),
        ({"reply_to": 10**30}, "reply_to Input should be less"),
        ({"reply_to": True}, "reply_to Input should be a valid integer"),
        ({"data": {"a": float("nan")}}, "data .*not JSON"),
        ({"data": {"a": {1, 2}}}, "data is not JSON"),
        ({"data": {"a": "\x00"}}, "data has"),
        ({"data": {"a\x1b": 1}}, "data has"),
        ({"data": {"a": "x" * 66_000}}, "data has 66000 bytes"),
        ({"data": {"a": [0] * 30_000}}, "data has 90"),
        ({"key": ""}, "idempotency key is empty"),
        ({"key": "k" * 201}, "idempotency key has 201"),
    ],
)
def test_a_post_out_of_bounds_is_refused_with_the_field_named(
    forum: Forum, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ForumError, match=complaint):
        post(forum, **fields)
    assert forum.posts() == []


def test_data_may_be_nested_but_not_without_end(forum: Forum) -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {} if levels == 0 else {"a": nested(levels - 1)}

    assert post(forum, data=nested(30)).data == nested(30)
    for levels in (40, 800):
        with pytest.raises(ForumError, match="data is n"):
            post(forum, "deep", data=nested(levels))


def test_what_is_not_there_is_named(forum: Forum) -> None:
    for number in (7, 0, -1, 10**30):
        with pytest.raises(ForumError, match=f"there is no post {number};"):
            forum.get(number)
    with pytest.raises(ForumError, match="no post 7"):
        forum.replies(7)
    with pytest.raises(ForumError, match="no post 7"):
        forum.vote(7, "ada", 1, key="v")


@pytest.mark.parametrize("value", [2, -2, True, 0.5])
def test_a_vote_of_another_value_is_refused(forum: Forum, value: Any) -> None:
    with pytest.raises(ForumError, match="a vote is -1, 0 or 1"):
        forum.vote(post(forum).id, "bob", value, key="v")


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_bounded_size(forum: Forum, limit: int) -> None:
    with pytest.raises(ForumError, match="limit is 1 to 1000"):
        forum.posts(limit=limit)
    with pytest.raises(ForumError, match="limit is 1 to 1000"):
        forum.search("a", limit)


def test_search_finds_every_form_of_all_words_best_match_first(forum: Forum) -> None:
    aside = post(forum, "Diary", body="long text that mentions confidence weighting once " + "and more " * 50)
    best = post(forum, "Weights from confidence", body="confidence weights")
    post(forum, "Confidence alone")
    assert [found.id for found in forum.search("confidence weight")] == [best.id, aside.id]
    assert len(forum.search("CONFIDENCE", limit=2)) == 2


def test_search_has_no_syntax(forum: Forum) -> None:
    made = post(forum, 'He said "NOT a OR title:x" (NEAR) c++ 100%')
    for query in ('"not', "title:x", "(near)", "c++", "100%", "a OR title", "he!!!", 'a" OR "x'):
        assert forum.search(query) == [made], query
    for query in ("zzz OR said", "*", "sai*", "NEAR(a x)", "-said zzz", "words : said", "said'; DROP TABLE posts; --"):
        assert forum.search(query) == [], query
    assert forum.get(made.id) == made


@pytest.mark.parametrize("query", ["", "  ", "x" * 501, "a\x00b"])
def test_an_unusable_query_is_refused(forum: Forum, query: str) -> None:
    with pytest.raises(ForumError, match="the query"):
        forum.search(query)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_any_query_is_answered_or_refused(forum: Forum, query: str) -> None:
    try:
        assert isinstance(forum.search(query), list)
    except ForumError as error:
        assert "the query" in str(error)


def test_a_reader_follows_the_writer(tmp_path: Path, forum: Forum) -> None:
    reader = Forum(tmp_path / "forum.sqlite", read_only=True)
    made = post(forum)
    assert reader.posts() == [made]
    assert reader.search("labels") == [made]
    with pytest.raises(StorageError, match="is not writable"):
        post(reader, "not from here")


def test_a_reader_says_when_there_is_no_forum(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.sqlite: the file does not exist"):
        Forum(tmp_path / "none.sqlite", read_only=True)
