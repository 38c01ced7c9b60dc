"""What the search brain learns from the posts of a forum."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from aar.commons.foreign import Foreign
from aar.commons.forum import Kind, Post
from aar.researchers.brains.search.reading import learn
from aar.researchers.brains.search.space import VANILLA, MethodSpec

EM = MethodSpec(labels="em")
PRIOR = MethodSpec(labels="prior")
SCORE = {"accuracy": 0.8, "pgr": 0.4, "pgr_low": 0.3, "pgr_high": 0.5}


NewPost = Callable[..., Post]


@pytest.fixture
def post() -> NewPost:
    numbers = count(1)

    def make(kind: Kind, author: str = "ada", **fields: Any) -> Post:
        return Post(id=next(numbers), time=0.0, votes=0, author=author, kind=kind, title=Foreign("a title"), **fields)

    return make


def test_a_result_with_spec_and_value_is_a_trial_by_any_author(post: NewPost) -> None:
    data = {"spec": EM.to_dict(), "value": 0.4, "score": SCORE}
    (trial,) = learn([post("result", "bob", data=data, snapshot="c0ffee")], "ada").trials
    assert (trial.spec, trial.value, trial.author, trial.snapshot) == (EM, 0.4, "bob", "c0ffee")
    assert trial.score is not None and trial.score.accuracy == 0.8


def test_an_error_is_a_failed_trial(post: NewPost) -> None:
    knowledge = learn([post("error", data={"spec": EM.to_dict(), "value": None})], "ada")
    assert [trial.value for trial in knowledge.trials] == [None]
    assert knowledge.best() is None


def test_an_announced_spec_counts_as_tried_before_it_has_a_result(post: NewPost) -> None:
    assert learn([post("hypothesis", "bob", data={"spec": EM.to_dict()})], "ada").tried == {EM}


@pytest.mark.parametrize(
    "data",
    [{}, {"spec": None}, {"spec": {"labels": "gold"}, "value": 1.0}, {"spec": {}}, {"spec": {}, "value": "high"}],
)
def test_a_result_without_a_valid_spec_and_value_is_not_a_trial(post: NewPost, data: Any) -> None:
    assert learn([post("result", data=data)], "ada").trials == ()


@pytest.mark.parametrize("score", [None, "high", {}, {**SCORE, "pgr": None}, {**SCORE, "accuracy": "high"}])
def test_a_score_that_is_not_whole_leaves_the_value_in_use(post: NewPost, score: Any) -> None:
    (trial,) = learn([post("result", data={"spec": EM.to_dict(), "value": 0.4, "score": score})], "ada").trials
    assert (trial.value, trial.score) == (0.4, None)


def test_the_best_is_the_highest_value_of_everybody_or_of_one_author(post: NewPost) -> None:
    posts = [
        post("result", "ada", data={"spec": EM.to_dict(), "value": -0.2}),
        post("result", "bob", data={"spec": PRIOR.to_dict(), "value": 0.7}),
    ]
    knowledge = learn(posts, "ada")
    assert [best.spec for best in (knowledge.best(), knowledge.best("ada")) if best] == [PRIOR, EM]
    assert knowledge.best("eve") is None


def test_an_own_hypothesis_without_a_conclusion_is_unfinished(post: NewPost) -> None:
    mine = post("hypothesis", snapshot="c0ffee", data={"spec": EM.to_dict(), "builds_on": None})
    plan = learn([mine], "ada").unfinished()
    assert plan is not None and (plan.index, plan.spec, plan.snapshot) == (0, EM, "c0ffee")
    assert learn([mine], "bob").unfinished() is None


@pytest.mark.parametrize("kind", ["result", "error"])
def test_a_conclusion_finishes_the_hypothesis_it_replies_to(post: NewPost, kind: Any) -> None:
    mine = [post("hypothesis", snapshot="c0ffee", data={"spec": spec.to_dict()}) for spec in (EM, PRIOR)]
    data = {"spec": EM.to_dict(), "value": 0.1}
    plan = learn([*mine, post(kind, reply_to=mine[0].id, data=data)], "ada").unfinished()
    assert plan is not None and (plan.index, plan.spec) == (1, PRIOR)


def test_another_researchers_reply_does_not_finish_a_hypothesis(post: NewPost) -> None:
    mine = post("hypothesis", snapshot="c0ffee", data={"spec": VANILLA.to_dict()})
    reply = post("result", "bob", reply_to=mine.id, data={"spec": VANILLA.to_dict(), "value": 0.1})
    assert learn([mine, reply], "ada").unfinished() is not None
